// The cardinality page shows what the report says: tables, signs, filter, order; both themes,
// a phone, without data and without an answer.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Browser, Server, api, screenshot, waitFor } from './harness.mjs';

const kAxe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const kSizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

let server;
let browser;

before(async () => {
  server = await Server.make(['--no-collector.host', '--no-rules.default']);
  browser = await Browser.start();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

async function push(lines) {
  const response = await fetch(new URL('api/v1/import/lines', server.base), { method: 'POST', body: lines.join('\n') });
  assert.ok(response.status < 300, `${response.status}: ${await response.text()}`);
}

async function fill() {
  const now = Math.floor(Date.now() / 1000);
  const lines = [];
  for (let i = 0; i < 40; i += 1) {
    const host = `web-${i % 4}:9100`;
    lines.push(`http_requests_total job=api,instance=${host},path=/orders/${i},code=200 ${now} ${i}`);
    if (i < 25) lines.push(`metric_number_${i}_with_a_rather_long_name_of_its_own_seconds_bucket job=node,instance=${host} ${now} 1`);
  }
  await push(lines);
}

// A report as a server with a history would give it.
function withHistory(data) {
  const changes = (list) => list.map((one, i) => ({
    ...one, before: i % 3 === 2 ? null : one.count, change: [12, -7, 0][i % 3], atLeast: i % 3 === 2,
  }));
  return {
    ...data,
    since: '2026-01-02T03:04:05Z',
    seriesBefore: data.series - 5,
    metrics: changes(data.metrics), labels: changes(data.labels), pairs: changes(data.pairs), targets: changes(data.targets),
    fallback: { sampled: 60, raw: 6, metrics: [{ name: 'http_requests_total', sampled: 40, raw: 6 }] },
  };
}

async function openWithHistory(address) {
  return browser.open(address, async (page) => {
    await page.route('**/api/v1/cardinality/report**', async (route) => {
      const response = await route.fetch();
      const answer = await response.json();
      await route.fulfill({ json: { ...answer, data: withHistory(answer.data) } });
    });
  });
}

const firstNames = (page, id) =>
  page.locator(`[data-table="${id}"] tbody tr th`).evaluateAll((cells) => cells.map((cell) => cell.textContent));

test('without data the page says so', async () => {
  const { page, faults } = await browser.open(`${server.base}cardinality`);
  await page.locator('[data-notice="nothing"]').waitFor();
  await screenshot(page, 'cardinality-empty');
  assert.deepEqual(faults, []);
  await page.close();
});

test('the tables show what the API says', async () => {
  await fill();
  const { page, faults } = await browser.open(`${server.base}cardinality`);
  await page.locator('[data-table="metrics"] tbody tr').first().waitFor();
  const data = await api(server.base, 'api/v1/cardinality/report', { limit: 200 });
  assert.deepEqual(await firstNames(page, 'metrics'), data.metrics.slice(0, 15).map(({ name }) => name));
  assert.deepEqual(await firstNames(page, 'targets'), data.targets.map(({ job, instance }) => job + instance).slice(0, 15));
  const cells = await page.locator('[data-table="metrics"] tbody tr').first().locator('td').allTextContents();
  assert.deepEqual(cells, ['40', '–']);
  assert.match(await page.locator('[data-since]').textContent(), /No comparison yet/);
  assert.equal(await page.locator('.nav-current .nav-label').textContent(), 'Cardinality');
  // More than a page of them, on request.
  await page.locator('[data-table="metrics"] .counts-all').click();
  assert.equal((await firstNames(page, 'metrics')).length, 26);
  assert.deepEqual(faults, []);
  await page.close();
});

test('the filter and the order are in the address and change the tables', async () => {
  const { page, faults } = await openWithHistory(`${server.base}cardinality?sort=change`);
  await page.locator('[data-table="metrics"] tbody tr').first().waitFor();
  const changes = await page.locator('[data-table="metrics"] tbody tr td[data-change]').allTextContents();
  assert.equal(changes[0], '+12');
  assert.ok(changes.indexOf('−7') > changes.lastIndexOf('+12'));
  assert.match(await page.locator('[data-since]').textContent(), /^Changes since /);
  await page.locator('[data-control="filter"]').fill('HTTP_req');
  assert.deepEqual(await firstNames(page, 'metrics'), ['http_requests_total']);
  assert.match(page.url(), /f=HTTP_req&sort=change/);
  assert.match(await page.locator('[data-table="labels"]').textContent(), /None of \d+ matches the filter/);
  assert.deepEqual(faults, []);
  await page.close();
});

test('an answer that fails is told in its words, and what was shown stays', async () => {
  let broken = false;
  const { page } = await browser.open(`${server.base}cardinality`, async (tab) => {
    await tab.route('**/api/v1/cardinality/report**', (route) =>
      broken
        ? route.fulfill({ status: 500, json: { status: 'error', errorType: 'internal', error: 'the sky is falling' } })
        : route.continue(),
    );
  });
  await page.locator('[data-table="metrics"] tbody tr').first().waitFor();
  broken = true;
  await page.getByRole('button', { name: 'Refresh' }).click();
  await waitFor('the words', async () => (await page.getByRole('alert').textContent()).includes('Not updated. the sky is falling'));
  assert.ok((await firstNames(page, 'metrics')).length > 0);
  await screenshot(page, 'cardinality-error');
  await page.close();
});

for (const theme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries(kSizes)) {
    test(`${theme}, ${size}: nothing is cut off and everybody can read it`, async () => {
      const { page, faults } = await openWithHistory(`${server.base}cardinality`);
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme: theme });
      await page.locator('[data-table="fallback"] tbody tr').first().waitFor();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0, 'the page scrolls sideways');
      await page.evaluate(kAxe);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`), []);
      await screenshot(page, `cardinality-${theme}-${size}`, { fullPage: true });
      assert.deepEqual(faults, []);
      await page.close();
    });
  }
}
