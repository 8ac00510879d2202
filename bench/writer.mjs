// The benchmark's load: overwrites random 4 KiB blocks of a file and appends to another, 5 MB/s in all, with an fsync after each batch.
// Fills the file to BYTES at its first start, answers on port 8020 once it writes, and ends at once when told to.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';

const block = 4096, every = 20, batch = Math.round(5e6 * every / 1000 / block);
const bytes = Number(process.env.BYTES);
const file = fs.openSync('/data/blocks', fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
const log = fs.openSync('/data/log', 'a', 0o600);

const chunk = Buffer.alloc(8 << 20);
for (let at = fs.fstatSync(file).size; at < bytes; at += chunk.length) {
  crypto.randomFillSync(chunk);
  fs.writeSync(file, chunk, 0, Math.min(chunk.length, bytes - at), at);
}

let written = 0, ended = false, busy = false;
const buffer = Buffer.alloc(block);
function write() {
  if (ended || busy) return;
  busy = true;
  for (let i = 0; i < batch; i++) {
    crypto.randomFillSync(buffer);
    if (i % 2 === 0) fs.writeSync(file, buffer, 0, block, crypto.randomInt(Math.floor(bytes / block)) * block);
    else fs.writeSync(log, buffer);
  }
  fs.fdatasync(log, () => fs.fdatasync(file, () => { written += batch * block; busy = false; }));
}
http.createServer((_, answer) => answer.end(`${written}\n`)).listen(8020, () => { if (process.env.IDLE !== 'yes') setInterval(write, every); });
process.on('SIGTERM', () => { ended = true; fs.fsyncSync(file); fs.fsyncSync(log); process.exit(0); });
