import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import Hapi from '@hapi/hapi';
import Inert from '@hapi/inert';
import { DatabaseAway, patiently } from './todos.js';

const here = path.dirname(fileURLToPath(import.meta.url));
const modules = path.join(here, '..', 'node_modules');

const text = (value, name, fallback) => {
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'string' || value.length > 1000) throw badRequest(`${name}: give a text of at most 1000 characters`);
  return value;
};
const number = (value, name, fallback) => {
  if (value === undefined || value === null) return fallback;
  if (!Number.isInteger(value)) throw badRequest(`${name}: give a whole number`);
  return value;
};
const truth = (value, name, fallback) => {
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'boolean') throw badRequest(`${name}: give true or false`);
  return value;
};

function badRequest(message) {
  return Object.assign(new Error(message), { statusCode: 400 });
}

/** The HTTP side: the demo's routes over any store of todos. */
export async function buildApp(todos, { port, host = '0.0.0.0', patience = 10_000 }) {
  const server = Hapi.server({ port, host });
  await server.register(Inert);

  const answer = (work) => async (request, h) => {
    try {
      return await work(request, h);
    } catch (error) {
      if (error instanceof DatabaseAway) return h.response({ message: error.message }).code(503).header('Retry-After', '1');
      if (error.statusCode) return h.response({ message: error.message }).code(error.statusCode);
      request.log('error', error);
      throw error;
    }
  };
  const calmly = (work) => patiently(work, patience);
  const found = (todo, h) => todo ?? h.response({ message: 'no todo has this id' }).code(404);

  const body = (request) => {
    if (request.payload === null || typeof request.payload !== 'object' || Array.isArray(request.payload)) throw badRequest('send one todo as a JSON object');
    return request.payload;
  };
  const changeOf = (payload) => {
    const change = { title: text(payload.title, 'title'), order: number(payload.order, 'order'), completed: truth(payload.completed, 'completed') };
    return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  };

  server.route([
    { method: 'GET', path: '/v1', handler: answer(() => calmly(() => todos.list())) },
    {
      method: 'POST', path: '/v1',
      handler: answer(async (request, h) => {
        const given = body(request);
        const todo = {
          _id: text(given._id, '_id', randomBytes(12).toString('hex')), title: text(given.title, 'title', ''),
          order: number(given.order, 'order', 0), completed: truth(given.completed, 'completed', false),
        };
        return h.response(await calmly(() => todos.create(todo))).code(201);
      }),
    },
    { method: 'DELETE', path: '/v1', handler: answer(async (_, h) => { await calmly(() => todos.clear()); return h.response().code(204); }) },
    { method: 'GET', path: '/v1/{id}', handler: answer(async (request, h) => found(await calmly(() => todos.get(request.params.id)), h)) },
    {
      method: ['PUT', 'PATCH'], path: '/v1/{id}',
      handler: answer(async (request, h) => {
        const change = changeOf(body(request));
        return found(await calmly(() => todos.update(request.params.id, change)), h);
      }),
    },
    { method: 'DELETE', path: '/v1/{id}', handler: answer(async (request, h) => { await calmly(() => todos.remove(request.params.id)); return h.response().code(204); }) },
    { method: 'GET', path: '/healthz', handler: () => ({ up: true }) },
    { method: 'GET', path: '/lib/jquery.js', handler: { file: { path: path.join(modules, 'jquery/dist/jquery.min.js'), confine: false } } },
    { method: 'GET', path: '/lib/underscore.js', handler: { file: { path: path.join(modules, 'underscore/underscore-umd-min.js'), confine: false } } },
    { method: 'GET', path: '/lib/backbone.js', handler: { file: { path: path.join(modules, 'backbone/backbone-min.js'), confine: false } } },
    { method: 'GET', path: '/lib/todomvc.css', handler: { file: { path: path.join(modules, 'todomvc-app-css/index.css'), confine: false } } },
    { method: 'GET', path: '/{file*}', handler: { directory: { path: path.join(here, '..', 'public'), index: ['index.html'] } } },
  ]);
  return server;
}
