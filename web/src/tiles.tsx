// Five numbers. Each is the last point of the chart below it, so that they cannot disagree.

import type { ComponentChildren } from 'preact';
import { type Formatted, duration, format, plural, text } from './format.ts';
import { type Level, LevelMark } from './icons.tsx';
import { type Values, secondsUntil, summarize, total } from './series.ts';
import { type PanelData, alertsError, alertsNow, disk, diskError, facts, load, panelStates } from './store.ts';

const kLevelWord: Record<Level, string> = { ok: '', none: '', info: '', warning: 'warning', critical: 'critical' };

function above(value: number | null, warning: number, critical: number): Level {
  if (value === null) return 'none';
  return value >= critical ? 'critical' : value >= warning ? 'warning' : 'none';
}

const kSparkPointsLeast = 4;

// From the first sample on: it shows the shape, the number beside it shows the size.
function Sparkline({ values: all, max }: { values: Values; max: number | null }) {
  const width = 84;
  const height = 30;
  const values = all.slice(all.findIndex((v) => v !== null));
  if (values.filter((v) => v !== null).length < kSparkPointsLeast) return null;
  const top = max ?? Math.max(1e-9, summarize(values).max ?? 0);
  const parts: string[] = [];
  let pen = 'M';
  values.forEach((v, i) => {
    if (v === null) {
      pen = 'M';
      return;
    }
    const x = (i / Math.max(1, values.length - 1)) * width;
    const y = height - 1 - Math.min(1, v / top) * (height - 2);
    parts.push(`${pen}${x.toFixed(1)} ${y.toFixed(1)}`);
    pen = 'L';
  });
  return (
    <svg class="spark" height={height} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      <path
        d={parts.join('')}
        fill="none"
        stroke="currentColor"
        stroke-width="1.5"
        stroke-linejoin="round"
        vector-effect="non-scaling-stroke"
      />
    </svg>
  );
}

interface TileProps {
  id: string;
  label: string;
  target: string;
  value: Formatted | null; // null while loading
  detail: string;
  level?: Level;
  children?: ComponentChildren;
}

function Tile({ id, label, target, value, detail, level = 'none', children }: TileProps) {
  return (
    <a class={`card tile tile-${level}`} href={`#${target}`} data-tile={id}>
      <span class="tile-label">
        <LevelMark level={level} />
        {label}
        {kLevelWord[level] !== '' && <span class="visually-hidden">, {kLevelWord[level]}</span>}
      </span>
      {value === null ? (
        <span class="skeleton skeleton-number" aria-label="Loading" />
      ) : (
        <span class="tile-value num">
          {value.number} <span class="tile-unit">{value.unit}</span>
        </span>
      )}
      <span class="tile-detail">{value === null ? '\u00a0' : detail}</span>
      {children}
    </a>
  );
}

function panelData(id: string): PanelData | null {
  return panelStates.value[id]?.data ?? null;
}

function sumOf(data: PanelData, endsWith: string): Values {
  return total(data.series.filter(({ name }) => name.endsWith(endsWith)).map(({ values }) => values));
}

function CpuTile() {
  const data = panelData('cpu');
  const busy = data ? total([...data.series, ...data.hidden].map(({ values }) => values)) : [];
  // Ticks and samples do not start together: a full host can come out at 101 %.
  const sum = summarize(busy).last;
  const last = sum === null ? null : Math.min(100, sum);
  const loads = load.value.map((value) => (value === null ? '–' : value.toFixed(2))).join(' / ');
  return (
    <Tile
      id="cpu"
      label="CPU busy"
      target="cpu"
      value={data && format(last, 'percent')}
      detail={loads === '' ? '\u00a0' : `load ${loads}`}
      level={above(last, 90, Infinity)}
    >
      <Sparkline values={busy} max={100} />
    </Tile>
  );
}

function MemoryTile() {
  const data = panelData('memory');
  const used = data?.series.find(({ name }) => name === 'used')?.values ?? [];
  const last = summarize(used).last;
  const size = facts.value?.memoryTotal ?? null;
  const share = last === null || size === null ? null : (100 * last) / size;
  return (
    <Tile
      id="memory"
      label="Memory used"
      target="memory"
      value={data && format(last, 'bytes')}
      detail={share === null ? '\u00a0' : `${text(share, 'percent')} of ${text(size, 'bytes')}`}
      level={above(share, 90, 97)}
    >
      <Sparkline values={used} max={size} />
    </Tile>
  );
}

// A line through the last hours, only where they hold enough to draw one.
const kFillPointsLeast = 30;
const kFillSecondsMost = 90 * 86400;

function DiskTile() {
  const now = disk.value;
  const last = now && summarize(now.used).last;
  const share =
    now && now.sizeBytes && now.availableBytes !== null ? 100 * (1 - now.availableBytes / now.sizeBytes) : last;
  const points = now?.used.filter((v) => v !== null).length ?? 0;
  const full = now && points >= kFillPointsLeast ? secondsUntil(now.times, now.used, 100) : null;
  const free = now ? `${text(now.availableBytes, 'bytes')} free of ${text(now.sizeBytes, 'bytes')}` : '';
  const missing = diskError.value !== null && now === null;
  return (
    <Tile
      id="disk"
      label="Disk /"
      target="disk"
      value={missing ? format(null, 'percent') : now && format(share, 'percent')}
      detail={
        missing
          ? (diskError.value ?? '')
          : full !== null && full < kFillSecondsMost
            ? `full in about ${duration(full)}`
            : free
      }
      level={above(share, 85, 95)}
    >
      <Sparkline values={now?.used ?? []} max={100} />
    </Tile>
  );
}

function NetworkTile() {
  const data = panelData('network');
  const into = data ? sumOf(data, ' in') : [];
  const out = data ? sumOf(data, ' out') : [];
  const both = total([into, out]);
  const last = summarize(both).last;
  return (
    <Tile
      id="network"
      label="Network"
      target="network"
      value={data && format(last, 'bits/s')}
      detail={`in ${text(summarize(into).last, 'bits/s')} · out ${text(summarize(out).last, 'bits/s')}`}
    >
      <Sparkline values={both} max={null} />
    </Tile>
  );
}

function severityCounts(severities: string[]): string {
  const counts = new Map<string, number>();
  for (const severity of severities) counts.set(severity, (counts.get(severity) ?? 0) + 1);
  return [...counts].map(([severity, count]) => `${count} ${severity}`).join(' · ');
}

function AlertsTile() {
  const now = alertsNow.value;
  const firing = now?.list.filter(({ state }) => state === 'firing') ?? [];
  const severities = firing.map(({ labels }) => labels['severity'] ?? 'without severity').sort();
  const pending = (now?.list.length ?? 0) - firing.length;
  const missing = now === null && alertsError.value !== null;
  const rules = now?.ruleCount ?? 0;
  const quiet = rules === 0 ? 'no rules loaded' : `${plural(rules, 'rule')} ${rules === 1 ? 'watches' : 'watch'}`;
  return (
    <Tile
      id="alerts"
      label="Alerts"
      target="alerts"
      value={missing ? format(null, 'none') : now && { number: String(firing.length), unit: 'firing' }}
      detail={
        missing
          ? (alertsError.value ?? '')
          : firing.length > 0
            ? severityCounts(severities)
            : pending > 0
              ? `${pending} pending`
              : quiet
      }
      level={firing.length === 0 ? 'none' : severities.includes('critical') ? 'critical' : 'warning'}
    />
  );
}

export function Tiles() {
  return (
    <div class="tiles">
      <CpuTile />
      <MemoryTile />
      <DiskTile />
      <NetworkTile />
      <AlertsTile />
    </div>
  );
}
