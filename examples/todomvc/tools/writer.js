// A client that writes one numbered row after the other and counts only what the database acknowledged.
// On any trouble it sends the same number again. It answers over HTTP:
//   GET  /status   how far it is, and the longest time without an acknowledgement since the last mark
//   POST /mark     starts a new measure of that time; answers the old one
//   POST /stop     stops writing
//   GET  /verify   reads every row back: each acknowledged number exactly once?

import http from 'node:http';
import pg from 'pg';
import { MongoClient } from 'mongodb';

const url = process.env.DATABASE_URL ?? process.env.MONGO_URI;
if (!url) {
  console.error('writer: set DATABASE_URL (or MONGO_URI)');
  process.exit(2);
}
const scheme = new URL(url).protocol;
const port = Number(process.env.PORT ?? 8010);
const pauseBetweenRows = Number(process.env.PAUSE_MS ?? 5);
const pauseAfterTrouble = 20;
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

class PostgresRows {
  #client = null;

  async #connected() {
    if (this.#client) return this.#client;
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 400, query_timeout: 1500 });
    client.on('error', () => this.drop());
    await client.connect();
    // The primary key makes a number that was written, but whose answer got lost, harmless to send again.
    await client.query('CREATE TABLE IF NOT EXISTS written (n bigint PRIMARY KEY, body text NOT NULL)');
    return (this.#client = client);
  }

  async write(n, body) {
    const client = await this.#connected();
    await client.query('INSERT INTO written (n, body) VALUES ($1, $2) ON CONFLICT (n) DO NOTHING', [n, body]);
  }

  async counts() {
    const client = await this.#connected();
    return (await client.query('SELECT n::int AS n, count(*)::int AS times FROM written GROUP BY n ORDER BY n')).rows;
  }

  drop() {
    const client = this.#client;
    this.#client = null;
    client?.connection?.stream?.destroy();
  }
}

class MongoRows {
  #client = null;

  async #collection() {
    this.#client ??= await new MongoClient(url, { serverSelectionTimeoutMS: 400, connectTimeoutMS: 400, socketTimeoutMS: 1500, retryWrites: false }).connect();
    return this.#client.db().collection('written');
  }

  async write(n, body) {
    const rows = await this.#collection();
    await rows.updateOne({ _id: n }, { $setOnInsert: { body } }, { upsert: true, writeConcern: { w: 1, j: true } });
  }

  async counts() {
    const rows = await this.#collection();
    return (await rows.find().sort({ _id: 1 }).toArray()).map((row) => ({ n: row._id, times: 1 }));
  }

  drop() {
    const client = this.#client;
    this.#client = null;
    client?.close(true).catch(() => {});
  }
}

const rows = scheme.startsWith('mongodb') ? new MongoRows() : new PostgresRows();
const state = { acknowledged: 0, retries: 0, writing: true, lastTrouble: null };
let lastAck = null;
let longestGap = 0;

async function write() {
  for (let n = 1; state.writing; ) {
    try {
      await rows.write(n, `row ${n} of the writer, long enough to dirty a page now and then`);
      const now = performance.now();
      if (lastAck !== null) longestGap = Math.max(longestGap, now - lastAck);
      lastAck = now;
      state.acknowledged = n++;
      await sleep(pauseBetweenRows);
    } catch (error) {
      state.retries++;
      state.lastTrouble = `${error.code ?? ''} ${error.message}`.trim();
      rows.drop();
      await sleep(pauseAfterTrouble);
    }
  }
}

// The gap that is still open counts too: a writer that waits now has already waited that long.
const gap = () => Math.max(longestGap, lastAck === null || !state.writing ? 0 : performance.now() - lastAck);

async function verify() {
  for (let attempt = 1; ; attempt++) {
    try {
      const counts = await rows.counts();
      const times = new Map(counts.map((row) => [row.n, row.times]));
      let lost = 0;
      let duplicated = 0;
      for (let n = 1; n <= state.acknowledged; n++) {
        const seen = times.get(n) ?? 0;
        if (seen === 0) lost++;
        if (seen > 1) duplicated++;
      }
      return { acknowledged: state.acknowledged, lost, duplicated, rows: counts.length };
    } catch (error) {
      if (attempt >= 50) throw error;
      rows.drop();
      await sleep(200);
    }
  }
}

const answers = {
  'GET /status': () => ({ ...state, longestGapMs: gap() }),
  'POST /mark': () => {
    const answer = { acknowledged: state.acknowledged, longestGapMs: gap() };
    longestGap = 0;
    return answer;
  },
  'POST /stop': async () => {
    state.writing = false;
    await writing;
    return { ...state, longestGapMs: longestGap };
  },
  'GET /verify': verify,
};

const writing = write();
http.createServer(async (request, response) => {
  const answer = answers[`${request.method} ${request.url}`];
  try {
    const value = answer ? await answer() : { message: `nothing here; there are ${Object.keys(answers).join(', ')}` };
    response.writeHead(answer ? 200 : 404, { 'Content-Type': 'application/json' }).end(`${JSON.stringify(value)}\n`);
  } catch (error) {
    response.writeHead(500, { 'Content-Type': 'application/json' }).end(`${JSON.stringify({ message: error.message })}\n`);
  }
}).listen(port, () => console.log(`writer: numbers go to ${scheme}//${new URL(url).host}, status on ${port}`));

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0));
