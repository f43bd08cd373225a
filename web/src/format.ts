// How a number, a length of time and a moment look, everywhere in the UI.
// One formatter, so that a tile, a legend and an axis never disagree.

export type Unit = 'percent' | 'bytes' | 'bytes/s' | 'bits/s' | 'none';

export interface Formatted {
  number: string;
  unit: string; // '' where the number stands alone
}

const kMissing = '–';
const kThinSpace = '\u2009';

const kScales: Record<Exclude<Unit, 'percent'>, { base: number; units: string[] }> = {
  // Memory comes in powers of two, rates in powers of ten, as their makers count them.
  bytes: { base: 1024, units: ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] },
  'bytes/s': { base: 1000, units: ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s'] },
  'bits/s': { base: 1000, units: ['b/s', 'kb/s', 'Mb/s', 'Gb/s', 'Tb/s'] },
  none: { base: 1000, units: ['', 'k', 'M', 'G', 'T'] },
};

// Three significant digits, no exponent: 0.042, 6.83, 41.8, 712.
function significant(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 99.95) return value.toFixed(0);
  if (size >= 9.995) return value.toFixed(1);
  if (size >= 0.9995) return value.toFixed(2);
  if (size >= 0.0005) return String(Number(value.toPrecision(3)));
  return value.toExponential(1);
}

// The power of the base that `value` is shown in. What would be rounded up to the base
// itself belongs to the next: 999.6 kB/s is shown as 1.00 MB/s.
function scaleIndex(value: number, base: number, count: number): number {
  let index = 0;
  let rest = Math.abs(value);
  while (rest >= base - 0.5 && index + 1 < count) {
    rest /= base;
    index += 1;
  }
  return index;
}

export function format(value: number | null | undefined, unit: Unit): Formatted {
  if (value === null || value === undefined || Number.isNaN(value)) return { number: kMissing, unit: '' };
  if (!Number.isFinite(value)) return { number: value > 0 ? '∞' : '−∞', unit: '' };
  if (unit === 'percent') {
    const size = Math.abs(value);
    const digits = size === 0 || size >= 99.95 ? 0 : size < 0.995 ? 2 : 1;
    return { number: value.toFixed(digits), unit: '%' };
  }
  const { base, units } = kScales[unit];
  const index = scaleIndex(value, base, units.length);
  const scaled = value / base ** index;
  // Whole bytes and bits have no fraction worth a digit.
  const number = index === 0 && unit !== 'none' && Math.abs(scaled) >= 1 ? scaled.toFixed(0) : significant(scaled);
  return { number, unit: units[index] ?? '' };
}

export function text(value: number | null | undefined, unit: Unit): string {
  const formatted = format(value, unit);
  return formatted.unit === '' ? formatted.number : formatted.number + kThinSpace + formatted.unit;
}

// An axis label: the shortest text of a round number, such as "16 GiB" or "2.5 MB/s".
export function tickText(value: number, unit: Unit): string {
  if (unit === 'percent') return `${Number(value.toPrecision(6))}${kThinSpace}%`;
  const { base, units } = kScales[unit];
  let index = 0;
  let rest = value;
  while (Math.abs(rest) >= base && index + 1 < units.length) {
    rest /= base;
    index += 1;
  }
  const number = String(Number(rest.toPrecision(4)));
  const name = units[index] ?? '';
  return name === '' || value === 0 ? number : number + kThinSpace + name;
}

// "48 s", "14 min", "2 h 14 min", "41 d": the two largest parts below a day.
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return kMissing;
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return days < 10 && hours % 24 !== 0 ? `${days} d ${hours % 24} h` : `${days} d`;
}

function two(n: number): string {
  return n < 10 ? `0${n}` : String(n);
}

export function clock(seconds: number, withSeconds = true): string {
  const d = new Date(seconds * 1000);
  const minutes = `${two(d.getHours())}:${two(d.getMinutes())}`;
  return withSeconds ? `${minutes}:${two(d.getSeconds())}` : minutes;
}

export function isoDate(seconds: number): string {
  const d = new Date(seconds * 1000);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

// With the date unless it is today's: "14:02:10", "2026-11-19 14:02:10".
export function moment(seconds: number, now: number): string {
  return isoDate(seconds) === isoDate(now) ? clock(seconds) : `${isoDate(seconds)} ${clock(seconds)}`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
}
