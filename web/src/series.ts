// Pure maths on the drawn series: aligning answers on the grid, stacking, summaries.

import type { Grid } from './time.ts';

export type Labels = Record<string, string>;
export type Values = Array<number | null>;

export interface MatrixSeries {
  metric: Labels;
  values: Array<[number, string]>;
}

export interface Series {
  name: string;
  labels: Labels;
  expr: string;
  values: Values;
}

// The API writes values as text: "1", "NaN", "+Inf". What cannot be drawn is a gap.
export function parseValue(text: string): number {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number(text);
}

export function align(series: MatrixSeries, grid: Grid): Values {
  const count = Math.round((grid.end - grid.start) / grid.step) + 1;
  const out: Values = new Array<number | null>(count).fill(null);
  for (const [t, text] of series.values) {
    const index = Math.round((t - grid.start) / grid.step);
    const value = parseValue(text);
    if (index >= 0 && index < count && Number.isFinite(value)) out[index] = value;
  }
  return out;
}

// Each series on top of those before it. A gap counts as nothing, unless all have it.
export function stack(all: Values[]): Values[] {
  const count = all[0]?.length ?? 0;
  const sum = new Array<number>(count).fill(0);
  return all.map((values) =>
    Array.from({ length: count }, (_, i) => {
      sum[i] = (sum[i] ?? 0) + (values[i] ?? 0);
      return all.some((other) => other[i] !== null && other[i] !== undefined) ? (sum[i] ?? 0) : null;
    }),
  );
}

export interface Summary {
  last: number | null;
  lastIndex: number;
  mean: number | null;
  max: number | null;
}

export function summarize(values: Values): Summary {
  let last: number | null = null;
  let lastIndex = -1;
  let sum = 0;
  let count = 0;
  let max: number | null = null;
  values.forEach((value, i) => {
    if (value === null) return;
    last = value;
    lastIndex = i;
    sum += value;
    count += 1;
    if (max === null || value > max) max = value;
  });
  return { last, lastIndex, mean: count === 0 ? null : sum / count, max };
}

export function total(all: Values[]): Values {
  const stacked = stack(all);
  return stacked[stacked.length - 1] ?? [];
}

// Seconds until a line through the points reaches `limit`, null when it never will.
export function secondsUntil(times: number[], values: Values, limit: number): number | null {
  let n = 0;
  let meanT = 0;
  let meanV = 0;
  values.forEach((v, i) => {
    if (v === null) return;
    n += 1;
    meanT += (times[i] ?? 0) - (times[0] ?? 0);
    meanV += v;
  });
  if (n < 2) return null;
  meanT /= n;
  meanV /= n;
  let covariance = 0;
  let variance = 0;
  values.forEach((v, i) => {
    if (v === null) return;
    const t = (times[i] ?? 0) - (times[0] ?? 0) - meanT;
    covariance += t * (v - meanV);
    variance += t * t;
  });
  const slope = variance === 0 ? 0 : covariance / variance;
  const now = (times[times.length - 1] ?? 0) - (times[0] ?? 0);
  const level = meanV + slope * (now - meanT);
  if (slope === 0 || (limit - level) / slope <= 0) return null;
  return (limit - level) / slope;
}

// "falling", "rising" or "steady": the second half's mean against the first's.
export function trend(values: Values): string {
  const half = Math.floor(values.length / 2);
  const first = summarize(values.slice(0, half)).mean;
  const second = summarize(values.slice(half)).mean;
  if (first === null || second === null) return 'steady';
  const size = Math.max(Math.abs(first), Math.abs(second));
  if (size === 0 || Math.abs(second - first) < 0.1 * size) return 'steady';
  return second > first ? 'rising' : 'falling';
}
