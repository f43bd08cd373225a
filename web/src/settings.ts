// What the viewer chose. Time and host live in the URL, so that a copied link shows the
// same page; the theme lives in the browser, since it belongs to the viewer.

import { signal } from '@preact/signals';
import { kPresets } from './time.ts';

export interface Absolute {
  from: number;
  to: number;
}

export type Theme = 'system' | 'light' | 'dark';

export const kRefreshChoices = [0, 1, 5, 10, 30, 60] as const; // seconds; 0 is off
export const kThemeKey = 'petrel.theme';

export const rangeChoice = signal<string>('auto'); // 'auto' or the id of a preset
export const absolute = signal<Absolute | null>(null); // set by dragging over a chart
export const refreshChoice = signal<number | null>(null); // null: follow the collection interval
export const hostChoice = signal<string | null>(null);
export const theme = signal<Theme>('system');
export const dark = signal(false);

function number(value: string | null): number | null {
  if (value === null || value.trim() === '') return null;
  const n = Number(value);
  return Number.isFinite(n) ? n : null;
}

export function readUrl(search: string): void {
  const params = new URLSearchParams(search);
  const range = params.get('range');
  rangeChoice.value = kPresets.some(({ id }) => id === range) ? (range ?? 'auto') : 'auto';
  const from = number(params.get('from'));
  const to = number(params.get('to'));
  absolute.value = from !== null && to !== null && to > from ? { from, to } : null;
  const refresh = params.get('refresh') === 'off' ? 0 : number(params.get('refresh'));
  refreshChoice.value = kRefreshChoices.some((choice) => choice === refresh) ? refresh : null;
  hostChoice.value = params.get('host');
}

export function toSearch(): string {
  const params = new URLSearchParams();
  if (hostChoice.value !== null) params.set('host', hostChoice.value);
  if (absolute.value !== null) {
    params.set('from', String(absolute.value.from));
    params.set('to', String(absolute.value.to));
  } else if (rangeChoice.value !== 'auto') {
    params.set('range', rangeChoice.value);
  }
  if (refreshChoice.value !== null) params.set('refresh', refreshChoice.value === 0 ? 'off' : String(refreshChoice.value));
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

export function writeUrl(entry: 'push' | 'replace'): void {
  const target = location.pathname + toSearch() + location.hash;
  if (entry === 'push') history.pushState(null, '', target);
  else history.replaceState(null, '', target);
}

const prefersDark = typeof matchMedia === 'function' ? matchMedia('(prefers-color-scheme: dark)') : null;

function applyTheme(): void {
  dark.value = theme.value === 'dark' || (theme.value === 'system' && (prefersDark?.matches ?? false));
  document.documentElement.dataset['theme'] = dark.value ? 'dark' : 'light';
}

export function startTheme(): void {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(kThemeKey);
  } catch {
    // a browser that keeps nothing: the system's theme
  }
  theme.value = stored === 'light' || stored === 'dark' ? stored : 'system';
  applyTheme();
  prefersDark?.addEventListener('change', applyTheme);
}

export function chooseTheme(next: Theme): void {
  theme.value = next;
  try {
    if (next === 'system') localStorage.removeItem(kThemeKey);
    else localStorage.setItem(kThemeKey, next);
  } catch {
    // see startTheme
  }
  applyTheme();
}
