import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from './load.mjs';

const { align, parseValue, secondsUntil, stack, summarize, total, trend } = await load('series.ts');

const grid = { start: 100, end: 120, step: 5 };

test('an answer is laid on the grid and what is missing is a gap', () => {
  const values = align({ metric: {}, values: [[105, '1.5'], [110, 'NaN'], [120, '+Inf']] }, grid);
  assert.deepEqual(values, [null, 1.5, null, null, null]);
});

test('points outside the grid are dropped', () => {
  assert.deepEqual(align({ metric: {}, values: [[95, '1'], [100, '2'], [125, '3']] }, grid), [2, null, null, null, null]);
});

test('the API\u2019s special values are read', () => {
  assert.equal(parseValue('+Inf'), Infinity);
  assert.equal(parseValue('-Inf'), -Infinity);
  assert.ok(Number.isNaN(parseValue('NaN')));
  assert.equal(parseValue('4.2e-01'), 0.42);
});

test('a stack adds up, and a gap counts as nothing unless all have it', () => {
  const a = [1, 2, null, null];
  const b = [10, null, 30, null];
  assert.deepEqual(stack([a, b]), [[1, 2, 0, null], [11, 2, 30, null]]);
  assert.deepEqual(total([a, b]), [11, 2, 30, null]);
  assert.deepEqual(stack([]), []);
  assert.deepEqual(total([]), []);
});

test('a summary skips gaps', () => {
  assert.deepEqual(summarize([null, 4, 2, null]), { last: 2, lastIndex: 2, mean: 3, max: 4 });
  assert.deepEqual(summarize([null, null]), { last: null, lastIndex: -1, mean: null, max: null });
  assert.deepEqual(summarize([-3, -1]), { last: -1, lastIndex: 1, mean: -2, max: -1 });
});

test('a disk that fills by a tenth per second from 50 is full in 500 seconds', () => {
  const times = Array.from({ length: 11 }, (_, i) => 1000 + i * 10);
  const used = times.map((t) => 40 + (t - 1000) / 10);
  assert.ok(Math.abs((secondsUntil(times, used, 100) ?? 0) - 500) < 1e-6);
});

test('a disk that empties or stands still is never full', () => {
  const times = [0, 10, 20, 30];
  assert.equal(secondsUntil(times, [50, 49, 48, 47], 100), null);
  assert.equal(secondsUntil(times, [50, 50, 50, 50], 100), null);
  assert.equal(secondsUntil(times, [null, null, 50, null], 100), null);
});

test('a trend needs a tenth of change between the halves', () => {
  assert.equal(trend([10, 10, 10.5, 10.5]), 'steady');
  assert.equal(trend([10, 10, 20, 20]), 'rising');
  assert.equal(trend([20, 20, 10, 10]), 'falling');
  assert.equal(trend([null, null]), 'steady');
});
