// The server goes away under an open page and comes back: the page says so, keeps its last
// data, and goes on without a reload.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser, Server, drawnCharts, screenshot, waitFor } from './harness.mjs';

let server;
let browser;

before(async () => {
  server = await Server.make();
  browser = await Browser.start();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

test('a page keeps its last data while the server is away and goes on when it is back', async () => {
  const { page, faults } = await browser.open(`${server.base}?range=1m&refresh=1`);
  await drawnCharts(page);
  assert.equal(await page.locator('[data-banner]').count(), 0);

  await server.stop('SIGKILL');
  const banner = page.locator('[data-banner=away]');
  await banner.waitFor({ timeout: 10_000 });
  assert.match(await banner.textContent(), /Connection lost\..*Showing data of \d\d:\d\d:\d\d/);
  const kept = await drawnCharts(page, 1);
  assert.equal(kept.length, 4);
  assert.match(await page.locator('[data-live]').textContent(), /Not connected/);
  await screenshot(page, 'home-away');

  await server.start();
  await waitFor('the banner to go', async () => (await page.locator('[data-banner]').count()) === 0, 30);
  const before_ = kept.find(({ chart }) => chart === 'memory').last[0].time;
  await waitFor('a point newer than the outage', async () =>
    (await drawnCharts(page)).find(({ chart }) => chart === 'memory').last[0].time > before_, 30);
  // The browser itself logs each refused connection and, while the server starts, each 503;
  // nothing else may be wrong.
  const other = faults.filter((fault) => !/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|request failed|status (of )?503/.test(fault));
  assert.deepEqual(other, []);
  await page.close();
});

test('one chart that the server refuses shows the server\u2019s words, the others go on', async () => {
  const error = 'query processing would load too many samples';
  const { page } = await browser.open(`${server.base}?range=1m&refresh=1`, (fresh) =>
    fresh.route(/query_range.*node_disk/, (route) =>
      route.fulfill({
        status: 422,
        contentType: 'application/json',
        body: JSON.stringify({ status: 'error', errorType: 'execution', error }),
      }),
    ),
  );
  const panel = page.locator('[data-panel=disk]');
  await waitFor('the error', async () => (await panel.getAttribute('data-state')) === 'error');
  assert.match(await panel.textContent(), /too many samples/);
  await waitFor('the other charts', async () => (await page.locator('[data-panel][data-state=ready]').count()) === 3);
  assert.equal(await page.locator('[data-banner]').count(), 0);
  await screenshot(page, 'home-panel-error');
  await page.close();
});

test('an answer that is cut off is an error of its chart and not of the page', async () => {
  const { page } = await browser.open(`${server.base}?range=1m&refresh=1`, (fresh) =>
    fresh.route(/query_range.*node_network/, (route) =>
      route.fulfill({ status: 200, contentType: 'application/json', body: '{"status":"success","data":{"resu' }),
    ),
  );
  const panel = page.locator('[data-panel=network]');
  await waitFor('the error', async () => /cut off or not JSON/.test(await panel.textContent()));
  await page.close();
});

test('a server that replays its log is said to be starting, one slow query is not', async () => {
  let answer = { status: 'error', errorType: 'unavailable', error: 'Service Unavailable: not ready yet' };
  let pattern = /.*/;
  const { page } = await browser.open(server.base, (fresh) =>
    fresh.route(/api\/v1\//, (route) =>
      pattern?.test(route.request().url())
        ? route.fulfill({ status: 503, contentType: 'application/json', body: JSON.stringify(answer) })
        : route.continue(),
    ),
  );
  const banner = page.locator('[data-banner=starting]');
  await banner.waitFor({ timeout: 10_000 });
  assert.match(await banner.textContent(), /Petrel is starting\..*No data yet\..*not ready yet/);
  pattern = /query_range.*node_disk/;
  answer = { status: 'error', errorType: 'timeout', error: 'query timed out' };
  await waitFor('the error', async () => /query timed out/.test(await page.locator('[data-panel=disk]').textContent()));
  await waitFor('the banner to go', async () => (await page.locator('[data-banner]').count()) === 0);
  await page.close();
});

test('before the first samples the page says that it is collecting', async () => {
  const empty = JSON.stringify({ status: 'success', data: { resultType: 'vector', result: [] } });
  let blocked = true;
  const { page } = await browser.open(server.base, (fresh) =>
    fresh.route(/api\/v1\/query\?query=node_uname_info/, (route) =>
      blocked ? route.fulfill({ status: 200, contentType: 'application/json', body: empty }) : route.continue(),
    ),
  );
  await page.locator('[data-notice=collecting]').waitFor({ timeout: 10_000 });
  await screenshot(page, 'home-collecting');
  blocked = false;
  await drawnCharts(page);
  assert.equal(await page.locator('[data-notice]').count(), 0);
  await page.close();
});

test('hostile label values are shown as text', async () => {
  const evil = '<img src=x onerror="document.title=1"><script>alert(1)</script>';
  const alert = {
    labels: { alertname: evil, severity: 'critical', x: 'y'.repeat(4096) },
    annotations: { summary: evil },
    state: 'firing',
    activeAt: new Date().toISOString(),
    value: '1e+00',
  };
  const { page, faults } = await browser.open(server.base, (fresh) =>
    fresh.route(/api\/v1\/alerts/, (route) =>
      route.fulfill({
        status: 200,
        contentType: 'application/json',
        body: JSON.stringify({ status: 'success', data: { alerts: [alert] } }),
      }),
    ),
  );
  await page.locator('[data-alert]').waitFor({ timeout: 10_000 });
  assert.equal(await page.locator('[data-alert] strong').textContent(), evil);
  assert.equal(await page.title(), 'Petrel');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  assert.deepEqual(faults, []);
  await page.close();
});

test('a server that takes no samples is shown as such, with its own words', async () => {
  const text = 'read-only: the disk is nearly full: 3.0 MiB are free';
  let degraded = [{ part: 'storage', reason: 'disk_full', text, stopsWrites: true }];
  const { page } = await browser.open(`${server.base}?range=1m&refresh=1`, (fresh) =>
    fresh.route(/status\/runtimeinfo/, (route) =>
      route.fulfill({
        status: 200,
        contentType: 'application/json',
        body: JSON.stringify({ status: 'success', data: { hostname: 'somewhere', degraded } }),
      }),
    ),
  );
  const banner = page.locator('[data-banner=degraded]');
  await banner.waitFor({ timeout: 20_000 });
  assert.match(await banner.textContent(), /No new samples are stored\. storage: read-only: the disk is nearly full/);
  assert.equal((await drawnCharts(page)).length, 4);
  await screenshot(page, 'home-degraded');
  degraded = [];
  await waitFor('the banner to go', async () => (await banner.count()) === 0, 20);
  await page.close();
});
