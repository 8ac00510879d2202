import pg from 'pg';

// Errors that say "not now" rather than "no": connection trouble, and a server that starts up or shuts down (class 57P, 08).
const away = (error) =>
  /^(ECONN|EHOST|ENET|EPIPE|ETIMEDOUT|EAI_AGAIN|ENOTFOUND)/.test(error.code ?? '') || /^(57P|08)/.test(error.code ?? '') ||
  /timeout|terminated|Connection ended/i.test(error.message ?? '');

export class PostgresTodos {
  #pool;
  #DatabaseAway;
  #ready = false;

  constructor(url, DatabaseAway) {
    this.#DatabaseAway = DatabaseAway;
    this.#pool = new pg.Pool({ connectionString: url, max: 4, connectionTimeoutMillis: 1500, query_timeout: 3000, idleTimeoutMillis: 30_000, keepAlive: true });
    // An idle connection that breaks is dropped by the pool; the next query makes a new one.
    this.#pool.on('error', () => {});
  }

  async #query(text, values) {
    try {
      if (!this.#ready) {
        await this.#pool.query(`CREATE TABLE IF NOT EXISTS todos (
          id text PRIMARY KEY, title text NOT NULL DEFAULT '', "order" integer NOT NULL DEFAULT 0, completed boolean NOT NULL DEFAULT false, made bigserial)`);
        this.#ready = true;
      }
      return await this.#pool.query(text, values);
    } catch (error) {
      if (away(error)) throw new this.#DatabaseAway(error);
      throw error;
    }
  }

  static #columns = 'id AS "_id", title, "order", completed';

  async list() {
    return (await this.#query(`SELECT ${PostgresTodos.#columns} FROM todos ORDER BY "order", made`)).rows;
  }

  async get(id) {
    return (await this.#query(`SELECT ${PostgresTodos.#columns} FROM todos WHERE id = $1`, [id])).rows[0] ?? null;
  }

  async create(todo) {
    await this.#query('INSERT INTO todos (id, title, "order", completed) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING',
      [todo._id, todo.title, todo.order, todo.completed]);
    return this.get(todo._id);
  }

  async update(id, change) {
    await this.#query('UPDATE todos SET title = coalesce($2, title), "order" = coalesce($3, "order"), completed = coalesce($4, completed) WHERE id = $1',
      [id, change.title ?? null, change.order ?? null, change.completed ?? null]);
    return this.get(id);
  }

  async remove(id) {
    await this.#query('DELETE FROM todos WHERE id = $1', [id]);
  }

  async clear() {
    await this.#query('DELETE FROM todos');
  }

  async close() {
    await this.#pool.end();
  }
}
