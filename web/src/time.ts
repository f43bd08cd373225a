// Time ranges, the grid that queries are evaluated on, and the ticks of the time axis.

export interface Range {
  start: number; // seconds since 1970
  end: number;
}

// A range on the query grid: start and end are multiples of step, both included.
export interface Grid {
  start: number;
  end: number;
  step: number;
}

export const kPresets: ReadonlyArray<{ id: string; seconds: number; name: string }> = [
  { id: '1m', seconds: 60, name: 'Last 1 min' },
  { id: '5m', seconds: 300, name: 'Last 5 min' },
  { id: '15m', seconds: 900, name: 'Last 15 min' },
  { id: '1h', seconds: 3600, name: 'Last 1 h' },
  { id: '6h', seconds: 6 * 3600, name: 'Last 6 h' },
  { id: '24h', seconds: 86400, name: 'Last 24 h' },
  { id: '7d', seconds: 7 * 86400, name: 'Last 7 d' },
];

// The default is an hour once half of it holds data; before that the longest range that is
// half full, so that a first visit is not an empty chart with a sliver at its end.
export function autoRangeSeconds(dataAgeSeconds: number): number {
  return [3600, 900, 300].find((seconds) => dataAgeSeconds >= seconds / 2) ?? 60;
}

const kSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
// A chart is 500 to 700 px wide: more points than this cannot be told apart.
const kPointsMax = 300;

export function stepFor(rangeSeconds: number, intervalSeconds: number): number {
  const least = Math.max(rangeSeconds / kPointsMax, intervalSeconds);
  return kSteps.find((step) => step >= least - 1e-9) ?? Math.ceil(rangeSeconds / kPointsMax);
}

// Points on multiples of the step stay where they are when the range moves on. The first
// lies at or before the range's start, so that lines come in from the edge.
export function gridFor(range: Range, step: number): Grid {
  return { start: Math.floor(range.start / step) * step, end: Math.floor(range.end / step) * step, step };
}

export function gridTimes(grid: Grid): number[] {
  const count = Math.round((grid.end - grid.start) / grid.step) + 1;
  return Array.from({ length: count }, (_, i) => grid.start + i * grid.step);
}

// rate() needs two samples inside its window even when one scrape is lost, and no sample
// between two grid points may be left out.
export function rateWindow(step: number, intervalSeconds: number): string {
  return `${Math.ceil(Math.max(4 * intervalSeconds, step + intervalSeconds))}s`;
}

// The usual distance between raw samples. The median of the last few: one late sample or
// the change from the first minute's interval does not matter for long.
export function sampleInterval(times: number[]): number | null {
  const gaps: number[] = [];
  for (let i = Math.max(1, times.length - 5); i < times.length; i += 1) {
    gaps.push((times[i] ?? 0) - (times[i - 1] ?? 0));
  }
  if (gaps.length === 0) return null;
  gaps.sort((a, b) => a - b);
  const median = gaps[Math.floor(gaps.length / 2)] ?? 0;
  return median < 0.95 ? Math.round(median * 10) / 10 : Math.round(median);
}

const kMinute = 60;
const kHour = 3600;
const kDay = 86400;
const kTickSteps = [
  1, 2, 5, 10, 15, 30, kMinute, 2 * kMinute, 3 * kMinute, 5 * kMinute, 10 * kMinute, 15 * kMinute, 30 * kMinute,
  kHour, 2 * kHour, 3 * kHour, 4 * kHour, 6 * kHour, 12 * kHour, kDay, 2 * kDay, 7 * kDay, 14 * kDay, 30 * kDay,
];

// Ticks at round local times. `offset` is what to add to UTC for the viewer's clock.
export function timeTicks(range: Range, countMax: number, offset: number): { step: number; ticks: number[] } {
  const span = range.end - range.start;
  const step = kTickSteps.find((candidate) => span / candidate <= countMax) ?? Math.ceil(span / countMax / kDay) * kDay;
  const ticks: number[] = [];
  for (let t = Math.ceil((range.start + offset) / step) * step - offset; t <= range.end; t += step) ticks.push(t);
  return { step, ticks };
}

// No two neighbours read the same: seconds below a minute, dates from a day on.
export function timeTickText(t: number, step: number): string {
  const d = new Date(t * 1000);
  const two = (n: number) => String(n).padStart(2, '0');
  if (step >= kDay || (d.getHours() === 0 && d.getMinutes() === 0 && step >= kHour)) {
    return `${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  }
  const minutes = `${two(d.getHours())}:${two(d.getMinutes())}`;
  return step < kMinute ? `${minutes}:${two(d.getSeconds())}` : minutes;
}

// Round values from 0 to at least `max`: 3 to 6 of them, in the unit's own base.
export function valueTicks(max: number, base: 1000 | 1024): number[] {
  if (!(max > 0)) return [0];
  let step: number;
  if (base === 1024) {
    step = 2 ** Math.ceil(Math.log2(max / 6) - 1e-9);
  } else {
    const raw = max / 5;
    const power = 10 ** Math.floor(Math.log10(raw));
    const lead = raw / power;
    step = (lead <= 1.0000001 ? 1 : lead <= 2.0000001 ? 2 : lead <= 5.0000001 ? 5 : 10) * power;
  }
  const count = Math.ceil(max / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

export interface ValueAxis {
  top: number;
  ticks: number[];
}

// Rates of counters that were read a little late add up to a little more than everything.
const kOvershoot = 1.05;

// From 0 to a round value above everything drawn, or to `limit` where the quantity ends.
export function valueAxis(max: number, least: number, limit: number | null, base: 1000 | 1024): ValueAxis {
  const isFull = limit !== null && max > limit && max <= limit * kOvershoot;
  const reached = isFull ? limit : max;
  const ticks = valueTicks(Math.max(reached, least), base);
  const top = ticks[ticks.length - 1] ?? 0;
  if (limit !== null && top > limit && reached <= limit) return { top: limit, ticks: ticks.filter((t) => t <= limit) };
  return top > 0 ? { top, ticks } : { top: 1, ticks: [0, 0.5, 1] };
}
