// The tables of the cardinality page: order, filter, signs, and where they come from.

import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from './load.mjs';

const {
  cardinalitySearch, chosenRows, countText, filter, order, pageOf, pairQuery, percent, readCardinalityUrl, shortCount, signedText, tables, targetQuery,
} = await load('cardinality.ts', 'route.ts');

const line = (name, count, change, more = {}) => ({ name, count, before: null, change, atLeast: false, ...more });

const report = {
  time: '2026-11-20T12:00:00Z',
  since: '2026-11-19T08:00:00Z',
  series: 100,
  seriesBefore: 90,
  labelPairs: 30,
  labelNames: 4,
  chunks: 7,
  metrics: [line('up', 60, 1), line('http_requests_total', 30, -20), line('new_metric', 10, 10, { atLeast: true })],
  labels: [line('job', 2, 0)],
  pairs: [line('job=a=b', 60, 3)],
  targets: [
    { job: 'node', instance: 'web:9100', count: 60, before: 60, change: 0, atLeast: false },
    { job: '', instance: '', count: 1, before: 1, change: 0, atLeast: false },
  ],
  churn: {
    since: '2026-11-20T07:00:00Z', created: 9, gone: 4, estimated: true,
    metrics: [{ name: 'http_requests_total', created: 9, gone: 4, missed: 0 }],
    targets: [{ job: 'node', instance: 'web:9100', created: 9, gone: 4, missed: 0 }],
  },
  fallback: { sampled: 50, raw: 5, metrics: [{ name: 'up', sampled: 20, raw: 5 }] },
};
const head = { headStats: {}, memoryInBytesByLabelName: [{ name: 'job', value: 1234 }] };
const table = (id) => tables(report, head).find((one) => one.id === id);

test('every list of the report has its table', () => {
  assert.deepEqual(
    tables(report, head).map(({ id, rows }) => [id, rows.length]),
    [['metrics', 3], ['labels', 1], ['pairs', 1], ['targets', 2], ['churn-metrics', 1], ['churn-targets', 1], ['bytes', 1], ['fallback', 1]],
  );
  assert.equal(tables(report, null).length, 7);
  assert.match(table('churn-metrics').note, /estimated/);
  assert.deepEqual(table('fallback').rows[0].values.map(({ value }) => value), [5, 25]);
});

test('a target is shown as job and instance, and what it lacks is said', () => {
  const [first, second] = table('targets').rows;
  assert.deepEqual(first.parts, ['node', 'web:9100']);
  assert.equal(first.query, '{job="node",instance="web:9100"}');
  assert.deepEqual(second.parts, ['(no job)', '(no instance)']);
});

test('rows come as they are, or the most changed first whatever the sign', () => {
  const names = (by) => chosenRows(table('metrics'), '', by).map(({ name }) => name);
  assert.deepEqual(names('count'), ['up', 'http_requests_total', 'new_metric']);
  assert.deepEqual(names('change'), ['http_requests_total', 'new_metric', 'up']);
  assert.deepEqual(chosenRows(table('churn-metrics'), '', 'change').length, 1);
});

test('the filter looks for a part of the name in any case', () => {
  const found = (text) => chosenRows(table('metrics'), text, 'count').map(({ name }) => name);
  assert.deepEqual(found(' HTTP_'), ['http_requests_total']);
  assert.deepEqual(found('nothing'), []);
  assert.deepEqual(chosenRows(table('targets'), 'node web', 'count').length, 1);
});

test('a change has its sign, and a bound says so', () => {
  assert.equal(signedText(1204), '+1,204');
  assert.equal(signedText(-3), '\u22123');
  assert.equal(signedText(0), '0');
  assert.equal(signedText(50, true), '≥ +50');
  assert.equal(signedText(null), '–');
  assert.equal(signedText(0, true), '–');
  assert.equal(shortCount(65), '65');
  assert.equal(shortCount(1_420_000), '1.42\u2009M');
  assert.equal(countText(1234567), '1,234,567');
  assert.equal(percent(1, 0), null);
});

test('selectors quote what has to be', () => {
  assert.equal(pairQuery('job=a=b'), '{job="a=b"}');
  assert.equal(pairQuery('k8s.pod=x"y'), '{"k8s.pod"="x\\"y"}');
  assert.equal(targetQuery({ job: 'a', instance: 'b' }), '{job="a",instance="b"}');
});

test('filter and order are in the URL', () => {
  readCardinalityUrl('');
  assert.equal(cardinalitySearch(), '');
  readCardinalityUrl('?f=http+x&sort=change');
  assert.equal(filter.value, 'http x');
  assert.equal(order.value, 'change');
  assert.equal(cardinalitySearch(), '?f=http+x&sort=change');
  readCardinalityUrl('?sort=nonsense');
  assert.equal(order.value, 'count');
});

test('the page is told by the end of its address, also below a prefix', () => {
  assert.equal(pageOf('/cardinality'), 'cardinality');
  assert.equal(pageOf('/monitoring/tsdb-status'), 'cardinality');
  assert.equal(pageOf('/'), 'home');
  assert.equal(pageOf('/graph'), 'home');
});
