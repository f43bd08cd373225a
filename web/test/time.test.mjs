import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from './load.mjs';

const { autoRangeSeconds, gridFor, gridTimes, kPresets, rateWindow, sampleInterval, stepFor, timeTicks, timeTickText, valueAxis, valueTicks } = await load('time.ts');

test('the default range is the longest that is half full of data', () => {
  assert.equal(autoRangeSeconds(0), 60);
  assert.equal(autoRangeSeconds(149), 60);
  assert.equal(autoRangeSeconds(150), 300);
  assert.equal(autoRangeSeconds(450), 900);
  assert.equal(autoRangeSeconds(1800), 3600);
  assert.equal(autoRangeSeconds(1e9), 3600);
});

test('the step is never finer than the samples nor than the pixels', () => {
  assert.equal(stepFor(60, 1), 1);
  assert.equal(stepFor(300, 5), 5);
  assert.equal(stepFor(3600, 5), 15);
  assert.equal(stepFor(86400, 5), 300);
  assert.equal(stepFor(300, 60), 60);
  for (const { seconds } of kPresets) {
    for (const interval of [1, 5, 15, 60]) assert.ok(seconds / stepFor(seconds, interval) <= 300);
  }
});

test('grid points are multiples of the step, whatever the range', () => {
  const grid = gridFor({ start: 1000.3, end: 1060.9 }, 5);
  assert.deepEqual(grid, { start: 1000, end: 1060, step: 5 });
  const times = gridTimes(grid);
  assert.equal(times.length, 13);
  assert.equal(times[0], 1000);
  assert.equal(times[12], 1060);
});

test('a range shorter than a step still has one point', () => {
  const grid = gridFor({ start: 1001, end: 1002 }, 60);
  assert.deepEqual(gridTimes(grid), [960]);
});

test('the rate window holds a lost scrape and leaves no sample between two points out', () => {
  assert.equal(rateWindow(1, 1), '4s');
  assert.equal(rateWindow(5, 5), '20s');
  assert.equal(rateWindow(300, 5), '305s');
  assert.equal(rateWindow(15, 0.5), '16s');
});

test('the collection interval is the median of the last gaps', () => {
  assert.equal(sampleInterval([]), null);
  assert.equal(sampleInterval([10]), null);
  assert.equal(sampleInterval([0, 1, 2, 3, 4, 5]), 1);
  assert.equal(sampleInterval([0, 1, 2, 3, 8, 13, 18]), 5);
  assert.equal(sampleInterval([0, 5.01, 10, 14.99, 40, 45]), 5);
});

test('time labels are at round local times', () => {
  const offset = 5.5 * 3600;
  const noon = Date.UTC(2026, 10, 20, 6, 30) / 1000; // 12:00 in Kolkata
  const { step, ticks } = timeTicks({ start: noon - 3600, end: noon }, 6, offset);
  assert.equal(step, 600);
  assert.deepEqual(ticks.map((t) => timeTickText(t, step)), ['11:00', '11:10', '11:20', '11:30', '11:40', '11:50', '12:00']);
  const day = timeTicks({ start: noon - 86400, end: noon }, 4, offset);
  assert.equal(day.step, 6 * 3600);
  assert.deepEqual(day.ticks.map((t) => timeTickText(t, day.step)), ['12:00', '18:00', '11-20', '06:00', '12:00']);
});

test('no two neighbouring time labels read the same', () => {
  const end = Date.UTC(2026, 10, 20, 6, 31, 17) / 1000;
  for (const span of [10, 60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400, 90 * 86400]) {
    for (const count of [3, 5, 7]) {
      const { step, ticks } = timeTicks({ start: end - span, end }, count, 5.5 * 3600);
      const labels = ticks.map((t) => timeTickText(t, step));
      assert.ok(ticks.length >= 1 && ticks.length <= count + 1, `${span}/${count}: ${labels.join(' ')}`);
      labels.forEach((label, i) => assert.notEqual(label, labels[i - 1], `${span}/${count}`));
    }
  }
});

test('value labels are round in the unit\u2019s own base and at least three', () => {
  assert.deepEqual(valueTicks(23.4, 1000), [0, 5, 10, 15, 20, 25]);
  assert.deepEqual(valueTicks(62.7 * 2 ** 30, 1024).map((v) => v / 2 ** 30), [0, 16, 32, 48, 64]);
  assert.deepEqual(valueTicks(0, 1000), [0]);
  for (let max = 0.001; max < 1e12; max *= 1.37) {
    for (const base of [1000, 1024]) {
      const ticks = valueTicks(max, base);
      assert.ok(ticks.length >= 3 && ticks.length <= 8, `${max}: ${ticks.join(' ')}`);
      assert.ok((ticks[ticks.length - 1] ?? 0) >= max * (1 - 1e-6), `${max}`);
    }
  }
});

test('an axis ends at the quantity\u2019s own end, and an idle host\u2019s noise does not fill it', () => {
  const gib = 2 ** 30;
  assert.deepEqual(valueAxis(3 * gib, 23.5 * gib, 23.5 * gib, 1024).top, 23.5 * gib);
  assert.deepEqual(valueAxis(0.4, 10, 100, 1000), { top: 10, ticks: [0, 2, 4, 6, 8, 10] });
  assert.equal(valueAxis(99.2, 10, 100, 1000).top, 100);
  assert.deepEqual(valueAxis(100.4, 10, 100, 1000), { top: 100, ticks: [0, 20, 40, 60, 80, 100] });
  assert.ok(valueAxis(120, 10, 100, 1000).top >= 120);
  assert.equal(valueAxis(0, 0, null, 1000).top, 1);
});
