// One stroke set, 16 px, drawn inline; all decorative: the words stand beside them.

const kPaths = {
  petrel: 'M1.2 5.6C3.9 3.5 6.6 4.6 8 8.4 9.4 4.6 12.1 3.5 14.8 5.600M2.6 12.800c1.8-1.4 3.6-1.4 5.4 0s3.6 1.4 5.4 0',
  home: 'M2.5 7.5 8 2.8l5.5 4.7V13a.7.7 0 0 1-.7.7H9.6V9.8H6.4v3.9H3.2a.7.7 0 0 1-.7-.7z',
  bell: 'M4 11V7.2a4 4 0 0 1 8 0V11l1.2 1.5H2.8zM6.6 14.3h2.8',
  clock: 'M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4zM8 4.8V8l2.2 1.6',
  refresh: 'M13.3 6.3A5.6 5.6 0 0 0 3 5.5M2.7 9.7A5.6 5.6 0 0 0 13 10.5M13.6 2.6v3.8H9.8M2.4 13.4V9.6h3.8',
  sun: 'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.4v1.4M8 13.2v1.4M1.4 8h1.4M13.2 8h1.4M3.3 3.3l1 1M11.7 11.7l1 1M3.3 12.7l1-1M11.7 4.3l1-1',
  moon: 'M13.4 9.6A5.8 5.8 0 0 1 6.4 2.6a5.8 5.8 0 1 0 7 7z',
  screen: 'M2 3h12v8.2H2zM5.6 13.8h4.8',
  check: 'M3 8.6 6.4 12 13 4.6',
  layers: 'M8 2 14 5.2 8 8.4 2 5.2zM2.6 8.2 8 11l5.4-2.8M2.6 11 8 13.8l5.4-2.8',
  back: 'M6.6 3.4 2.4 7.6l4.2 4.2M2.8 7.6h7.4a3.4 3.4 0 0 1 0 6.8',
} as const;

export type IconName = keyof typeof kPaths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
      <path d={kPaths[name]} fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}

export type Level = 'ok' | 'warning' | 'critical' | 'info' | 'none';

// State is never colour alone: each level has its own shape.
export function LevelMark({ level }: { level: Level }) {
  const shapes: Record<Level, preact.JSX.Element | null> = {
    ok: <path d="M2.2 6.4 4.8 9 9.8 3.4" fill="none" stroke="currentColor" stroke-width="1.8" />,
    warning: <path d="M6 1.4 11.2 10.6H.8z" fill="currentColor" />,
    critical: <circle cx="6" cy="6" r="4.8" fill="currentColor" />,
    info: <rect x="1.6" y="1.6" width="8.8" height="8.8" rx="1" fill="currentColor" />,
    none: null,
  };
  if (level === 'none') return null;
  return (
    <svg class={`mark mark-${level}`} width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
      {shapes[level]}
    </svg>
  );
}
