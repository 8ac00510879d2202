import { MongoClient, MongoNetworkError, MongoServerSelectionError } from 'mongodb';

const away = (error) => error instanceof MongoNetworkError || error instanceof MongoServerSelectionError || error?.hasErrorLabel?.('RetryableWriteError');

export class MongoTodos {
  #client;
  #DatabaseAway;

  constructor(url, DatabaseAway) {
    this.#DatabaseAway = DatabaseAway;
    this.#client = new MongoClient(url, { serverSelectionTimeoutMS: 1500, connectTimeoutMS: 1500, socketTimeoutMS: 5000, retryWrites: false });
  }

  async #with(work) {
    try {
      return await work(this.#client.db().collection('todos'));
    } catch (error) {
      if (away(error)) throw new this.#DatabaseAway(error);
      throw error;
    }
  }

  static #shape = (row) => row && { _id: String(row._id), title: row.title, order: row.order, completed: row.completed };

  list() {
    return this.#with(async (todos) => (await todos.find().sort({ order: 1, _id: 1 }).toArray()).map(MongoTodos.#shape));
  }

  get(id) {
    return this.#with(async (todos) => MongoTodos.#shape(await todos.findOne({ _id: id })));
  }

  create(todo) {
    // An upsert that sets only on insert: the same create sent twice leaves one todo.
    return this.#with(async (todos) => {
      const { _id, ...fields } = todo;
      await todos.updateOne({ _id }, { $setOnInsert: fields }, { upsert: true });
      return MongoTodos.#shape(await todos.findOne({ _id }));
    });
  }

  update(id, change) {
    return this.#with(async (todos) => {
      if (Object.keys(change).length > 0) await todos.updateOne({ _id: id }, { $set: change });
      return MongoTodos.#shape(await todos.findOne({ _id: id }));
    });
  }

  remove(id) {
    return this.#with((todos) => todos.deleteOne({ _id: id }));
  }

  clear() {
    return this.#with((todos) => todos.deleteMany({}));
  }

  close() {
    return this.#client.close();
  }
}
