// What the cardinality page shows: the report as the server gives it, made into tables.

import { signal } from '@preact/signals';
import type { ReportLine, CardinalityReport, ChurnLine, TsdbStatus } from './api.ts';
import * as api from './api.ts';
import { ApiError } from './api.ts';
import { text } from './format.ts';
import { readFrame } from './store.ts';

export type Order = 'count' | 'change';

export interface Row {
  name: string; // as it is filtered by
  parts: string[]; // as it is shown: the job and the instance of a target
  query: string | null; // that lists the series
  values: Array<{ value: number | null; atLeast?: boolean }>;
}

export interface Table {
  id: string;
  title: string;
  note: string;
  columns: string[];
  rows: Row[];
  signed: number; // the column whose sign is shown; -1: none
}

export const report = signal<CardinalityReport | null>(null);
export const status = signal<TsdbStatus | null>(null);
export const reportError = signal<string | null>(null);
export const loading = signal(false);
export const filter = signal('');
export const order = signal<Order>('count');

export const kRowsShown = 15;
const kRowsAsked = 200;
const kEverySeconds = 60;

export function readCardinalityUrl(search: string): void {
  const params = new URLSearchParams(search);
  filter.value = params.get('f') ?? '';
  order.value = params.get('sort') === 'change' ? 'change' : 'count';
}

export function cardinalitySearch(): string {
  const params = new URLSearchParams();
  if (filter.value !== '') params.set('f', filter.value);
  if (order.value !== 'count') params.set('sort', order.value);
  const search = params.toString();
  return search === '' ? '' : `?${search}`;
}

// A label value as PromQL's string.
const quoted = (value: string): string => JSON.stringify(value);

export function pairQuery(pair: string): string {
  const at = pair.indexOf('=');
  const name = pair.slice(0, at);
  const plain = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) ? name : quoted(name);
  return `{${plain}=${quoted(pair.slice(at + 1))}}`;
}

export function targetQuery(line: { job?: string; instance?: string }): string {
  return `{job=${quoted(line.job ?? '')},instance=${quoted(line.instance ?? '')}}`;
}

// "no job" and "no instance" stand for what a series does not have.
function targetParts(line: { job?: string; instance?: string }): string[] {
  return [line.job || '(no job)', line.instance || '(no instance)'];
}

function changeRow(line: ReportLine, query: (name: string) => string | null): Row {
  const isTarget = line.name === undefined;
  const parts = isTarget ? targetParts(line) : [line.name || '(no name)'];
  return {
    name: parts.join(' '),
    parts,
    query: isTarget ? targetQuery(line) : query(line.name ?? ''),
    values: [{ value: line.count }, { value: line.change, atLeast: line.atLeast }],
  };
}

function churnRow(line: ChurnLine): Row {
  const isTarget = line.name === undefined;
  const parts = isTarget ? targetParts(line) : [line.name || '(no name)'];
  return {
    name: parts.join(' '),
    parts,
    query: isTarget ? targetQuery(line) : pairQuery(`__name__=${line.name ?? ''}`),
    values: [{ value: line.created }, { value: line.gone }],
  };
}

export function percent(part: number, whole: number): number | null {
  return whole > 0 ? (100 * part) / whole : null;
}

export function tables(now: CardinalityReport, head: TsdbStatus | null): Table[] {
  const nameQuery = (name: string) => pairQuery(`__name__=${name}`);
  const changes = (id: string, title: string, note: string, counted: string, lines: ReportLine[], query: (name: string) => string | null): Table => ({
    id,
    title,
    note,
    columns: [counted, 'Change'],
    signed: 1,
    rows: lines.map((line) => changeRow(line, query)),
  });
  const churned = now.churn.estimated ? 'last hours, estimated' : 'last hours';
  const all = [
    changes('metrics', 'Metrics', 'series of each', 'Series', now.metrics, nameQuery),
    changes('labels', 'Labels', 'different values of each', 'Values', now.labels, () => null),
    changes('pairs', 'Label pairs', 'series that have it', 'Series', now.pairs, pairQuery),
    changes('targets', 'Targets', 'series by job and instance', 'Series', now.targets, () => null),
  ];
  const churn = (id: string, title: string, lines: ChurnLine[]): Table => ({
    id,
    title,
    note: churned,
    columns: ['Created', 'Gone'],
    signed: -1,
    rows: lines.map(churnRow),
  });
  all.push(churn('churn-metrics', 'Churn by metric', now.churn.metrics));
  all.push(churn('churn-targets', 'Churn by target', now.churn.targets));
  if (head !== null) {
    all.push({
      id: 'bytes',
      title: 'Label values in memory',
      note: 'bytes of the different values',
      columns: ['Bytes'],
      signed: -1,
      rows: head.memoryInBytesByLabelName.map(({ name, value }) => ({
        name,
        parts: [name],
        query: null,
        values: [{ value }],
      })),
    });
  }
  all.push({
    id: 'fallback',
    title: 'Values stored raw',
    note: 'share of each metric’s sampled series',
    columns: ['Series', '%'],
    signed: -1,
    rows: now.fallback.metrics.map(({ name, sampled, raw }) => ({
      name,
      parts: [name || '(no name)'],
      query: nameQuery(name),
      values: [{ value: raw }, { value: percent(raw, sampled) }],
    })),
  });
  return all;
}

// Rows whose name has the text, in any case; the first ones of the order that was chosen.
export function chosenRows(table: Table, wantedText: string, by: Order): Row[] {
  const wanted = wantedText.trim().toLowerCase();
  const rows = table.rows.filter(({ name }) => name.toLowerCase().includes(wanted));
  if (by !== 'change' || table.signed < 0) return rows;
  const size = (row: Row) => Math.abs(row.values[table.signed]?.value ?? 0);
  return rows.sort((a, b) => size(b) - size(a));
}

// "+1,204", "−3", "0", "≥ +50"; a dash when nothing is known.
export function signedText(value: number | null, atLeast = false): string {
  if (value === null || (atLeast && value <= 0)) return '–';
  const size = Math.abs(value).toLocaleString('en-US');
  const sign = value > 0 ? '+' : value < 0 ? '−' : '';
  return `${atLeast ? '≥ ' : ''}${sign}${size}`;
}

export function countText(value: number | null): string {
  return value === null ? '–' : value.toLocaleString('en-US');
}

// Exact as long as it is short: "65", "81,204", "1.42 M".
export function shortCount(value: number): string {
  return value < 100_000 ? countText(value) : text(value, 'none');
}

let timer: ReturnType<typeof setTimeout> | undefined;

export async function loadCardinality(): Promise<void> {
  clearTimeout(timer);
  loading.value = true;
  try {
    const [fresh, head] = await Promise.all([
      api.cardinalityReport(kRowsAsked),
      api.tsdbStatus(kRowsAsked),
      readFrame(),
    ]);
    report.value = fresh;
    status.value = head;
    reportError.value = null;
  } catch (error) {
    const starting = error instanceof ApiError && error.trouble === 'starting';
    const words = error instanceof Error ? error.message : String(error);
    reportError.value = starting ? `Petrel is starting: ${words}` : words;
  } finally {
    loading.value = false;
    if (!document.hidden) timer = setTimeout(() => void loadCardinality(), kEverySeconds * 1000);
  }
}

export function startCardinality(): void {
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) void loadCardinality();
    else clearTimeout(timer);
  });
  void loadCardinality();
}
