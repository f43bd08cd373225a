// Settings in the URL, the choice of the host, the order of the alerts.

import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from './load.mjs';

const { alertTexts, levelOf, sortAlerts, absolute, hostChoice, rangeChoice, readUrl, refreshChoice, toSearch, chooseHost } = await load('alerts.tsx', 'settings.ts', 'store.ts');

test('the URL holds range, refresh and host, and nothing when all are at their default', () => {
  readUrl('');
  assert.equal(toSearch(), '');
  readUrl('?range=6h&refresh=30&host=web-1%3A9090');
  assert.equal(rangeChoice.value, '6h');
  assert.equal(refreshChoice.value, 30);
  assert.equal(hostChoice.value, 'web-1:9090');
  assert.equal(toSearch(), '?host=web-1%3A9090&range=6h&refresh=30');
});

test('a zoomed range comes back from its URL', () => {
  readUrl('?from=1700000000&to=1700000600&refresh=off');
  assert.deepEqual(absolute.value, { from: 1700000000, to: 1700000600 });
  assert.equal(refreshChoice.value, 0);
  assert.equal(toSearch(), '?from=1700000000&to=1700000600&refresh=off');
});

test('nonsense in the URL is ignored', () => {
  readUrl('?range=3y&from=9&to=1&refresh=fast');
  assert.equal(rangeChoice.value, 'auto');
  assert.equal(absolute.value, null);
  assert.equal(refreshChoice.value, null);
});

test('this host is the one named, else the one the server runs on, else the first', () => {
  const all = [
    { job: 'node', instance: 'db:9100', nodename: 'db' },
    { job: 'node', instance: 'web:9100', nodename: 'web' },
    { job: 'node', instance: 'web:9090', nodename: 'web' },
  ];
  assert.equal(chooseHost(all, 'db:9100', 'web', 'web:9090')?.instance, 'db:9100');
  assert.equal(chooseHost(all, null, 'web', '127.0.0.1:9090')?.instance, 'web:9090');
  assert.equal(chooseHost(all, null, 'web', 'monitoring.example.com')?.instance, 'web:9100');
  assert.equal(chooseHost(all, null, '', 'web:9090')?.instance, 'web:9090');
  assert.equal(chooseHost(all, 'gone:1', 'cache', 'localhost:1')?.instance, 'db:9100');
  assert.equal(chooseHost([], null, 'web', 'web:9090'), null);
});

const alert = (name, state, severity, activeAt) => ({
  labels: { alertname: name, severity },
  annotations: {},
  state,
  activeAt,
});

test('firing comes before pending, worst first, newest first', () => {
  const sorted = sortAlerts([
    alert('p', 'pending', 'critical', '2026-11-20T10:00:00Z'),
    alert('w', 'firing', 'warning', '2026-11-20T10:00:00Z'),
    alert('old', 'firing', 'critical', '2026-11-20T09:00:00Z'),
    alert('new', 'firing', 'critical', '2026-11-20T10:00:00.123456789Z'),
  ]);
  assert.deepEqual(sorted.map(({ labels }) => labels.alertname), ['new', 'old', 'w', 'p']);
});

test('an alert without a known severity counts as a warning', () => {
  assert.equal(levelOf(alert('a', 'firing', '', '')), 'warning');
  assert.equal(levelOf(alert('a', 'firing', 'Critical', '')), 'critical');
  assert.equal(levelOf(alert('a', 'firing', 'info', '')), 'info');
});

test('an alert says its summary first, then its description, nothing twice', () => {
  const base = alert('a', 'firing', '', '');
  assert.deepEqual(alertTexts({ ...base, annotations: { description: 'd', summary: 's' } }), ['s', 'd']);
  assert.deepEqual(alertTexts({ ...base, annotations: { description: 'd', summary: 'd' } }), ['d']);
  assert.deepEqual(alertTexts(base), []);
});
