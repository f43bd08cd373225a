// The home page shows what the API says, loads nothing from elsewhere, and can be read by
// everybody: both themes, a phone, a keyboard, a screen reader.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Browser, api, drawnCharts, screenshot, serverUnderTest, waitFor } from './harness.mjs';

const kAxe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const kSizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

let server;
let browser;

before(async () => {
  server = await serverUnderTest();
  browser = await Browser.start();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

function same(a, b) {
  const sorted = (labels) => JSON.stringify(Object.entries(labels).sort());
  return sorted(a) === sorted(b);
}

test('the first visit shows four charts with data and no error', async () => {
  const { page, faults } = await browser.open(server.base);
  const charts = await drawnCharts(page);
  assert.equal(charts.length, 4);
  await waitFor('facts', async () => (await page.locator('[data-facts]').textContent())?.includes('collecting'));
  const title = await page.locator('h1').textContent();
  const uname = await api(server.base, 'api/v1/query', { query: 'node_uname_info' });
  assert.ok(uname.result.some(({ metric }) => title.includes(metric.nodename)), title);
  const { petrel_version: version } = await api(server.base, 'api/v1/status/buildinfo');
  assert.match(await page.locator('.nav-foot').textContent(), new RegExp(`Petrel ${version}`));
  assert.deepEqual(faults, []);
  await page.close();
});

// What the page has drawn and the API does not say, and how many lines were compared.
async function compareWithApi() {
  const { page, faults } = await browser.open(`${server.base}?range=5m&refresh=off`);
  const charts = await drawnCharts(page);
  const wrong = [];
  let compared = 0;
  for (const { chart, last } of charts) {
    for (const { name, expr, labels, time, value } of last) {
      const answer = await api(server.base, 'api/v1/query', { query: expr, time });
      const match = answer.result.find(({ metric }) => same(metric, labels));
      const expected = match ? Number(match.value[1]) : NaN;
      const agrees = Math.abs(value - expected) <= 1e-9 * Math.max(1, Math.abs(expected));
      if (!agrees) wrong.push(`${chart} ${name} at ${time}: drawn ${value}, API ${expected}`);
      compared += 1;
    }
  }
  assert.deepEqual(faults, []);
  await page.close();
  return { wrong, compared };
}

test('the last drawn values of every chart equal the API\u2019s', async () => {
  // On a busy machine a sample can arrive after the page has asked for its moment. Then
  // another look agrees; a page that draws wrong values is wrong each time.
  let result;
  for (let look = 0; look < 3; look += 1) {
    result = await compareWithApi();
    if (result.wrong.length === 0) break;
  }
  assert.deepEqual(result.wrong, []);
  assert.ok(result.compared >= 6, `only ${result.compared} series compared`);
});

test('the tiles show the last points of the charts', async () => {
  const { page } = await browser.open(`${server.base}?range=5m&refresh=off`);
  const charts = await drawnCharts(page);
  const used = charts.find(({ chart }) => chart === 'memory').last.find(({ name }) => name === 'used').value;
  const shown = await page.locator('[data-tile=memory] .tile-value').textContent();
  const [number, unit] = shown.trim().split(/\s+/);
  const factor = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }[unit];
  assert.ok(Math.abs(Number(number) * factor - used) <= 0.01 * used, `${shown}, drawn ${used}`);
  await page.close();
});

test('the charts move on by themselves', async () => {
  const { page } = await browser.open(`${server.base}?range=1m&refresh=1`);
  const time = async () => (await drawnCharts(page)).find(({ chart }) => chart === 'memory').last[0].time;
  const first = await time();
  await waitFor('a newer point', async () => (await time()) > first, 20);
  await page.close();
});

test('alerts and rules are those of the API', async () => {
  const { page } = await browser.open(server.base);
  await drawnCharts(page);
  const section = page.locator('#alerts');
  await waitFor('alerts', async () => (await section.getAttribute('data-firing')) !== null);
  // Read between two equal answers, so that an alert that changes meanwhile cannot disturb.
  await waitFor('the page to agree with the API', async () => {
    const names = async () =>
      (await api(server.base, 'api/v1/alerts')).alerts.map(({ labels, state }) => `${labels.alertname} ${state}`).sort();
    const before_ = await names();
    const shown = await page.evaluate(() =>
      [...document.querySelectorAll('[data-alert]')].map((e) => `${e.dataset.alert} ${e.dataset.alertState}`).sort(),
    );
    assert.deepEqual(await names(), before_);
    assert.deepEqual(shown, before_);
    return true;
  }, 20);
  const text = await section.textContent();
  const groups = (await api(server.base, 'api/v1/rules', { type: 'alert' })).groups;
  const count = groups.flatMap(({ rules }) => rules).filter(({ type }) => type === 'alerting').length;
  if (count > 0) assert.match(text, new RegExp(`${count} rules? `));
  else assert.match(text, /No alerting rules are loaded/);
  await page.close();
});

test('a range is kept in the URL and asked for', async () => {
  const { page, faults } = await browser.open(server.base);
  await drawnCharts(page);
  const asked = page.waitForRequest((r) => r.url().includes('query_range') && r.url().includes('node_cpu_seconds_total'));
  await page.locator('[data-control=range]').selectOption('6h');
  await page.waitForURL(/range=6h/);
  const request = await asked;
  const params = new URL(request.url()).searchParams;
  const span = Number(params.get('end')) - Number(params.get('start'));
  const step = Number(params.get('step'));
  assert.ok(Math.abs(span - 6 * 3600) <= step, `${span} s`);
  await page.goBack();
  await waitFor('the default range', async () => (await page.locator('[data-control=range]').inputValue()) === 'auto');
  assert.deepEqual(faults, []);
  await page.close();
});

test('dragging over a chart zooms all of them, and the button goes back', async () => {
  const { page } = await browser.open(`${server.base}?range=5m`);
  await drawnCharts(page);
  const box = await page.locator('[data-chart=cpu] .u-over').boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + 40, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  const params = new URL(page.url()).searchParams;
  assert.ok(Math.abs(Number(params.get('to')) - Number(params.get('from')) - 120) <= 10);
  await page.locator('button[title="Back to the newest data"]').click();
  await page.waitForURL(/range=5m/);
  await page.close();
});

test('the cursor of one chart is read on all', async () => {
  const { page } = await browser.open(`${server.base}?range=1m&refresh=off`);
  await drawnCharts(page);
  const box = await page.locator('[data-chart=cpu] .u-over').boundingBox();
  await page.mouse.move(box.x + box.width * 0.95, box.y + 40);
  await waitFor('a value column in four legends', async () =>
    (await page.locator('.legend-head:first-child', { hasText: 'Value' }).count()) === 4);
  const times = await page.locator('.legend-head:first-child .num').allTextContents();
  assert.equal(new Set(times).size, 1, times.join(' '));
  await page.close();
});

test('arrow keys read single moments aloud', async () => {
  const { page } = await browser.open(`${server.base}?range=1m&refresh=off`);
  await drawnCharts(page);
  const chart = page.locator('#memory .chart');
  await chart.focus();
  await page.keyboard.press('ArrowLeft');
  await waitFor('a spoken value', async () => /\d\d:\d\d:\d\d: used [\d.]+/.test(await chart.locator('[aria-live]').textContent()));
  await page.close();
});

test('the theme follows the system, can be chosen, and is remembered', async () => {
  const { page } = await browser.open(server.base);
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  await page.emulateMedia({ colorScheme: 'dark' });
  await waitFor('dark', async () => (await theme()) === 'dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await waitFor('light', async () => (await theme()) === 'light');
  const button = page.locator('[data-control=theme]');
  await button.click();
  await button.click();
  assert.equal(await theme(), 'dark');
  await page.reload();
  assert.equal(await theme(), 'dark');
  await button.click();
  assert.equal(await theme(), 'light');
  await page.close();
});

for (const colorScheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries(kSizes)) {
    test(`${colorScheme}, ${size}: nothing overflows, axe finds nothing`, async () => {
      const { page, faults } = await browser.open(server.base, async (fresh) => {
        await fresh.emulateMedia({ colorScheme });
        await fresh.setViewportSize(viewport);
      });
      await drawnCharts(page);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), viewport.width);
      const image = await screenshot(page, `home-${colorScheme}-${size}`, { fullPage: size === 'phone' });
      assert.ok(image.length > 10_000, 'an empty picture');
      await page.evaluate(kAxe);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`), []);
      assert.deepEqual(faults, []);
      await page.close();
    });
  }
}

test('nothing overflows at 320 px, where 400 % zoom of a laptop ends', async () => {
  const { page } = await browser.open(server.base, (fresh) => fresh.setViewportSize({ width: 320, height: 640 }));
  await drawnCharts(page);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  await page.close();
});

test('the page forbids what it does not need', async () => {
  const response = await fetch(server.base);
  const html = await response.text();
  const policy = response.headers.get('content-security-policy') ?? '';
  const both = `${policy} ${html}`;
  assert.match(both, /Content-Security-Policy/i);
  assert.doesNotMatch(both, /unsafe-inline|unsafe-eval/);
  assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)/, 'an inline script');
  assert.doesNotMatch(html, /\b(?:src|href)="(?:https?:)?\/\//, 'a foreign address');
});
