import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from './load.mjs';

const { clock, duration, format, isoDate, moment, plural, text, tickText } = await load('format.ts');

const plain = (value, unit) => text(value, unit).replace('\u2009', ' ');

test('memory is counted in powers of two, rates in powers of ten', () => {
  assert.equal(plain(62.7 * 2 ** 30, 'bytes'), '62.7 GiB');
  assert.equal(plain(1_300_660_224, 'bytes'), '1.21 GiB');
  assert.equal(plain(84_200_000, 'bits/s'), '84.2 Mb/s');
  assert.equal(plain(84_200_000, 'bytes/s'), '84.2 MB/s');
  assert.equal(plain(712, 'bytes/s'), '712 B/s');
});

test('a number keeps three significant digits', () => {
  assert.equal(plain(6.834, 'none'), '6.83');
  assert.equal(plain(41.84, 'none'), '41.8');
  assert.equal(plain(712.4, 'none'), '712');
  assert.equal(plain(0.29512, 'none'), '0.295');
  assert.equal(plain(1284, 'none'), '1.28 k');
});

test('rounding carries into the next unit', () => {
  assert.equal(plain(999_600, 'bytes/s'), '1.00 MB/s');
  assert.equal(plain(999_400, 'bytes/s'), '999 kB/s');
  assert.equal(plain(1023 * 1024, 'bytes'), '1023 KiB');
  assert.equal(plain(1023.6 * 1024, 'bytes'), '1.00 MiB');
  assert.equal(plain(9.996, 'none'), '10.0');
  assert.equal(plain(99.96, 'none'), '100');
});

test('percent has one decimal, two below one, none from a hundred on', () => {
  assert.equal(plain(66.66, 'percent'), '66.7 %');
  assert.equal(plain(6.8, 'percent'), '6.8 %');
  assert.equal(plain(0.87, 'percent'), '0.87 %');
  assert.equal(plain(100, 'percent'), '100 %');
  assert.equal(plain(0, 'percent'), '0 %');
});

test('what is missing is a dash and never a zero', () => {
  assert.deepEqual(format(null, 'bytes'), { number: '–', unit: '' });
  assert.deepEqual(format(undefined, 'percent'), { number: '–', unit: '' });
  assert.deepEqual(format(NaN, 'bits/s'), { number: '–', unit: '' });
  assert.deepEqual(format(Infinity, 'none'), { number: '∞', unit: '' });
  assert.equal(plain(0, 'bits/s'), '0 b/s');
});

test('the sign stays', () => {
  assert.equal(plain(-(2 ** 31), 'bytes'), '-2.00 GiB');
  assert.equal(plain(-0.5, 'percent'), '-0.50 %');
});

test('an axis label is as short as its round number allows', () => {
  const tick = (value, unit) => tickText(value, unit).replace('\u2009', ' ');
  assert.equal(tick(16 * 2 ** 30, 'bytes'), '16 GiB');
  assert.equal(tick(2_500_000, 'bytes/s'), '2.5 MB/s');
  assert.equal(tick(1_000_000, 'none'), '1 M');
  assert.equal(tick(0, 'bits/s'), '0');
  assert.equal(tick(20, 'percent'), '20 %');
});

test('a length of time names its two largest parts', () => {
  assert.equal(duration(48), '48 s');
  assert.equal(duration(59.7), '1 min');
  assert.equal(duration(14 * 60 + 59), '14 min');
  assert.equal(duration(2 * 3600 + 14 * 60), '2 h 14 min');
  assert.equal(duration(3600), '1 h');
  assert.equal(duration(3 * 86400 + 4 * 3600), '3 d 4 h');
  assert.equal(duration(41 * 86400 + 5000), '41 d');
  assert.equal(duration(-5), '0 s');
  assert.equal(duration(NaN), '–');
});

test('moments are 24-hour local time with an ISO date unless it is today', () => {
  const t = Date.UTC(2026, 10, 20, 15, 4, 5) / 1000; // 20:34:05 in Kolkata
  assert.equal(clock(t), '20:34:05');
  assert.equal(clock(t, false), '20:34');
  assert.equal(isoDate(t), '2026-11-20');
  assert.equal(moment(t, t + 60), '20:34:05');
  assert.equal(moment(t, t + 86400), '2026-11-20 20:34:05');
  assert.equal(isoDate(Date.UTC(2026, 10, 20, 18, 30) / 1000), '2026-11-21');
});

test('counts agree with their noun', () => {
  assert.equal(plural(1, 'rule'), '1 rule');
  assert.equal(plural(0, 'rule'), '0 rules');
  assert.equal(plural(1284, 'series', 'series'), '1,284 series');
});
