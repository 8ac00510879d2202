import { buildApp } from './app.js';
import { openTodos } from './todos.js';

const url = process.env.DATABASE_URL ?? process.env.MONGO_URI;
if (!url) {
  console.error('todomvc: set DATABASE_URL (or MONGO_URI) to mongodb://host/name or postgres://user:password@host/name');
  process.exit(2);
}
const port = Number(process.env.PORT ?? 80);
const todos = openTodos(url);
const server = await buildApp(todos, { port });
await server.start();
console.log(`todomvc: listening on ${port}, database ${new URL(url).protocol}//${new URL(url).host}`);

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    await server.stop({ timeout: 1000 });
    await todos.close();
    process.exit(0);
  });
}
