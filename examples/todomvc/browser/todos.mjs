// Uses the app as a person would, in the system's Chromium:
//   node todos.mjs add  URL SCREENSHOT TITLE…     types each title and presses Enter
//   node todos.mjs read URL SCREENSHOT            loads the page
// Prints the list the page shows afterwards, as JSON.

import { chromium } from 'playwright-core';

const [verb, url, screenshot, ...titles] = process.argv.slice(2);
if (!['add', 'read'].includes(verb) || !url || !screenshot) {
  console.error('usage: node todos.mjs add|read URL SCREENSHOT [TITLE…]');
  process.exit(2);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  // Root may not use Chromium's own sandbox; the rest keeps it from calling anyone but the app.
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
try {
  const page = await browser.newPage({ viewport: { width: 900, height: 720 } });
  await load(page);
  for (const title of titles) {
    await page.fill('#new-todo', title);
    await page.press('#new-todo', 'Enter');
    await page.locator('.todo-list label', { hasText: title }).waitFor();
  }
  // What the page shows must come from the database, not from the page's own memory.
  if (titles.length > 0) await load(page);
  await page.screenshot({ path: screenshot });
  console.log(JSON.stringify(await page.locator('.todo-list label').allTextContents()));
} finally {
  await browser.close();
}

async function load(page) {
  await page.goto(url);
  await page.locator('body[data-loaded=true]').waitFor({ timeout: 20_000 });
}
