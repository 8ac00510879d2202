// Where todos are kept. The URL's scheme chooses: mongodb://… or postgres://…
// Every store has the same six verbs, and each verb may be repeated: a request that was cut off is sent again under the same id.

import { MongoTodos } from './mongo.js';
import { PostgresTodos } from './postgres.js';

/** Thrown when the database cannot be reached just now: the caller may repeat. */
export class DatabaseAway extends Error {
  constructor(cause) {
    super(`the database cannot be reached just now (${cause?.code ?? cause?.message ?? cause})`, { cause });
  }
}

export function openTodos(url) {
  const scheme = new URL(url).protocol;
  switch (scheme) {
    case 'mongodb:':
    case 'mongodb+srv:':
      return new MongoTodos(url, DatabaseAway);
    case 'postgres:':
    case 'postgresql:':
      return new PostgresTodos(url, DatabaseAway);
    default:
      throw new Error(`DATABASE_URL has scheme '${scheme}': use mongodb:// or postgres://`);
  }
}

/** Repeats `work` while the database is away, until `patience` milliseconds have passed. */
export async function patiently(work, patience = 10_000, pause = 100) {
  const giveUpAt = Date.now() + patience;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DatabaseAway) || Date.now() + pause > giveUpAt) throw error;
      await new Promise((wake) => setTimeout(wake, pause));
    }
  }
}
