// The same laws for the routes over any store. Without TEST_DATABASE_URL the store is a map in memory;
// with it (postgres://… or mongodb://…, an empty database) it is the real one.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { buildApp } from './app.js';
import { DatabaseAway, openTodos } from './todos.js';

class MapTodos {
  rows = new Map();
  awayFor = 0;
  #maybe() { if (this.awayFor-- > 0) throw new DatabaseAway(new Error('ECONNREFUSED')); }
  async list() { this.#maybe(); return [...this.rows.values()].sort((a, b) => a.order - b.order); }
  async get(id) { return this.rows.get(id) ?? null; }
  async create(todo) { this.#maybe(); if (!this.rows.has(todo._id)) this.rows.set(todo._id, todo); return this.get(todo._id); }
  async update(id, change) { if (this.rows.has(id)) this.rows.set(id, { ...this.rows.get(id), ...change }); return this.get(id); }
  async remove(id) { this.rows.delete(id); }
  async clear() { this.rows.clear(); }
  async close() {}
}

const url = process.env.TEST_DATABASE_URL;
const todos = url ? openTodos(url) : new MapTodos();
let app;
before(async () => { app = await buildApp(todos, { port: 0, patience: 2000 }); });
beforeEach(() => todos.clear());
after(() => todos.close());

const send = async (method, path, payload) => {
  const response = await app.inject({ method, url: path, payload });
  return { code: response.statusCode, body: response.payload ? JSON.parse(response.payload) : null };
};

test("the demo's own entries come back in their order", async () => {
  for (const [order, title] of ['apples', 'oranges', 'pears'].entries()) {
    const made = await send('POST', '/v1', { __v: 0, order, title, _id: `id-${title}`, completed: false });
    assert.equal(made.code, 201);
  }
  const { body } = await send('GET', '/v1');
  assert.deepEqual(body.map((todo) => todo.title), ['apples', 'oranges', 'pears']);
});

test('the same create sent twice leaves one todo', async () => {
  const todo = { _id: 'once', title: 'milk', order: 1, completed: false };
  await send('POST', '/v1', todo);
  await send('POST', '/v1', todo);
  assert.deepEqual((await send('GET', '/v1')).body, [todo]);
});

test('a change changes only what it names', async () => {
  await send('POST', '/v1', { _id: 'x', title: 'milk', order: 3 });
  await send('PATCH', '/v1/x', { completed: true });
  assert.deepEqual((await send('GET', '/v1/x')).body, { _id: 'x', title: 'milk', order: 3, completed: true });
  await send('DELETE', '/v1/x');
  assert.equal((await send('GET', '/v1/x')).code, 404);
});

test('wrong input is refused with the field and the remedy', async () => {
  assert.match((await send('POST', '/v1', { title: 7 })).body.message, /title: give a text/);
  assert.match((await send('POST', '/v1', { order: 1.5 })).body.message, /order: give a whole number/);
  assert.equal((await send('POST', '/v1', [])).code, 400);
});

if (!url) test('a database that comes back in time is waited for', async () => {
  todos.awayFor = 3;
  assert.equal((await send('GET', '/v1')).code, 200);
});

test('a database of unknown kind is refused', () => {
  assert.throws(() => openTodos('mysql://host/db'), /use mongodb:\/\/ or postgres:\/\//);
});
