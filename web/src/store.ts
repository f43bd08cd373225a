// The page's data and the loop that keeps it fresh.
//
//   facts (60 s)  > which host, its devices, size, rules' number
//   slow (5 s)    > load, disk, alerts, age of the data
//   panels        > four charts on one grid, each with its own error
//
// A round that fails because nobody answers changes nothing but the connection's state:
// the last data stays on the page.

import { batch, signal } from '@preact/signals';
import * as api from './api.ts';
import { ApiError } from './api.ts';
import { type Host, type PanelSpec, chooseDevices, panels, rootDiskUsedQuery, select } from './queries.ts';
import { type Series, type Values, align, parseValue } from './series.ts';
import { absolute, hostChoice, rangeChoice, refreshChoice } from './settings.ts';
import {
  type Grid, type Range, autoRangeSeconds, gridFor, gridTimes, kPresets, rateWindow, sampleInterval, stepFor,
} from './time.ts';

export interface Facts {
  host: Host;
  os: string;
  cores: number | null;
  memoryTotal: number | null;
  bootTime: number | null;
  seriesCount: number | null;
  disks: { shown: string[]; left: number };
  nets: { shown: string[]; left: number };
}

export interface PanelData {
  spec: PanelSpec;
  range: Range;
  grid: Grid;
  times: number[];
  series: Series[];
  hidden: Series[]; // those too small to see
}

export interface PanelState {
  spec: PanelSpec;
  data: PanelData | null;
  error: string | null;
}

export interface Disk {
  sizeBytes: number | null;
  availableBytes: number | null;
  times: number[];
  used: Values; // percent, over the last hours
}

export interface Alerts {
  list: api.Alert[];
  ruleCount: number | null;
  broken: api.Rule[]; // rules whose last evaluation failed
}

// Data counts as arrived once samples are there; before that the collector has this long.
const kFirstSamplesSeconds = 30;
const kFactsEverySeconds = 60;
const kSlowEverySeconds = 5;
const kRetryFirstSeconds = 1;
const kRetryMaxSeconds = 15;
// A sample of "now" may still be on its way: asking slightly behind gives an answer that
// stays true.
const kSettleSeconds = 0.5;
const kDiskRangeSeconds = 6 * 3600;

export type Connection =
  | { state: 'connecting' }
  | { state: 'live' }
  | { state: 'away' | 'starting'; message: string; since: number; retryAt: number };

export const connection = signal<Connection>({ state: 'connecting' });
export const hosts = signal<Host[]>([]);
export const facts = signal<Facts | null>(null);
export const collecting = signal<'no' | 'soon' | 'never'>('no'); // whether samples are still to come
export const interval = signal(5); // seconds between samples
export const dataSince = signal<number | null>(null); // first sample within the last hour
export const panelStates = signal<Record<string, PanelState>>({});
export const load = signal<Array<number | null>>([]);
export const disk = signal<Disk | null>(null);
export const diskError = signal<string | null>(null);
export const alertsNow = signal<Alerts | null>(null);
export const alertsError = signal<string | null>(null);
export const degraded = signal<api.Degraded[]>([]);
export const pageError = signal<string | null>(null);
export const updatedAt = signal<number | null>(null);
export const version = signal('');
export const busy = signal(false);

let serverHostname = '';
let clockOffset = 0; // server minus browser, seconds
let factsAt = -Infinity;
let slowAt = -Infinity;
let startedAt = 0;
let retrySeconds = kRetryFirstSeconds;
let timer: ReturnType<typeof setTimeout> | undefined;
let running = false;
let again = false;

const browserNow = () => Date.now() / 1000;
export const serverNow = () => browserNow() + clockOffset;

export function rangeSeconds(): number {
  const preset = kPresets.find(({ id }) => id === rangeChoice.value);
  if (preset) return preset.seconds;
  const since = dataSince.value;
  return autoRangeSeconds(since === null ? 0 : serverNow() - since);
}

export function shownRange(): Range {
  const fixed = absolute.value;
  if (fixed) return { start: fixed.from, end: fixed.to };
  const end = serverNow() - kSettleSeconds;
  return { start: end - rangeSeconds(), end };
}

export function refreshSeconds(): number {
  if (absolute.value) return 0;
  return refreshChoice.value ?? Math.max(1, Math.min(60, stepFor(rangeSeconds(), interval.value)));
}

function refusal(error: unknown): string {
  if (error instanceof ApiError && error.trouble !== 'refused') throw error;
  return error instanceof Error ? error.message : String(error);
}

// Runs `work`; what the server refused becomes a text, what ends the round is thrown.
async function guarded(work: () => Promise<void>, onError: (message: string | null) => void): Promise<void> {
  try {
    await work();
    onError(null);
  } catch (error) {
    onError(refusal(error));
  }
}

async function one(query: string): Promise<number | null> {
  const sample = (await api.queryVector(query))[0];
  return sample ? parseValue(sample.value[1]) : null;
}

async function deviceTotals(metric: string, host: Host): Promise<Array<{ device: string; total: number }>> {
  const samples = await api.queryVector(select(metric, host));
  return samples.map(({ metric: labels, value }) => ({
    device: labels['device'] ?? '',
    total: parseValue(value[1]),
  }));
}

async function readHosts(): Promise<void> {
  const before = browserNow();
  const uname = await api.queryVector('node_uname_info');
  const stamp = uname[0]?.value[0];
  if (stamp !== undefined) clockOffset = stamp - (before + browserNow()) / 2;
  hosts.value = uname
    .map(({ metric }) => ({
      job: metric['job'] ?? '',
      instance: metric['instance'] ?? '',
      nodename: metric['nodename'] ?? metric['instance'] ?? '',
    }))
    .sort((a, b) => a.nodename.localeCompare(b.nodename) || a.instance.localeCompare(b.instance));
  systems = new Map(uname.map(({ metric }) => [metric['instance'] ?? '', metric]));
}

let systems = new Map<string, Record<string, string>>();

// The host named in the URL; else the one the server runs on, whose instance carries the
// port that this page came from unless something stands in between; else the first.
export function chooseHost(all: Host[], wanted: string | null, server: string, pageHost: string): Host | null {
  const port = /:\d+$/.exec(pageHost)?.[0] ?? '';
  return (
    all.find(({ instance }) => instance === wanted) ??
    all.find(({ instance, nodename }) => nodename === server && instance === server + port) ??
    all.find(({ nodename }) => nodename === server) ??
    all.find(({ instance }) => instance === pageHost) ??
    all[0] ??
    null
  );
}

function currentChoice(): Host | null {
  return chooseHost(hosts.value, hostChoice.value, serverHostname, location.host);
}

async function readFacts(): Promise<void> {
  await readHosts();
  const host = currentChoice();
  if (!host) {
    facts.value = null;
    collecting.value = browserNow() - startedAt < kFirstSamplesSeconds ? 'soon' : 'never';
    return;
  }
  const sel = `job=${JSON.stringify(host.job)},instance=${JSON.stringify(host.instance)}`;
  const [os, cores, memoryTotal, bootTime, seriesCount, disks, nets] = await Promise.all([
    api.queryVector(select('node_os_info', host)),
    one(`count(${select('node_cpu_seconds_total', host, 'mode="idle"')})`),
    one(select('node_memory_MemTotal_bytes', host)),
    one(select('node_boot_time_seconds', host)),
    one(`count({${sel}})`).catch(() => null),
    deviceTotals('node_disk_written_bytes_total', host),
    deviceTotals('node_network_receive_bytes_total', host),
  ]);
  const system = systems.get(host.instance) ?? {};
  const kernel = [system['sysname'], system['release']].filter(Boolean).join(' ');
  batch(() => {
    facts.value = {
      host,
      os: os[0]?.metric['pretty_name'] ?? kernel,
      cores,
      memoryTotal,
      bootTime,
      seriesCount,
      disks: chooseDevices(disks, 'disk'),
      nets: chooseDevices(nets, 'network'),
    };
    collecting.value = 'no';
  });
}

async function readAge(host: Host): Promise<void> {
  const probe = select('node_load1', host);
  const now = serverNow();
  // Two minutes hold enough samples for the median unless they come rarer than 30 s.
  const raw = (await api.queryRaw(`${probe}[2m]`))[0]?.values ?? [];
  interval.value = sampleInterval(raw.map(([t]) => t)) ?? interval.value;
  if (dataSince.value !== null && now - dataSince.value >= 3600) return;
  const step = 15;
  const end = Math.floor(now / step) * step;
  const past = (await api.queryRange(probe, end - 3600, end, step))[0]?.values ?? [];
  dataSince.value = Math.min(dataSince.value ?? now, past[0]?.[0] ?? now, raw[0]?.[0] ?? now);
}

async function readDisk(host: Host): Promise<void> {
  const root = 'mountpoint="/",fstype!="rootfs"';
  const now = serverNow();
  const grid = gridFor({ start: now - kDiskRangeSeconds, end: now }, 120);
  const [sizeBytes, availableBytes, past] = await Promise.all([
    one(select('node_filesystem_size_bytes', host, root)),
    one(select('node_filesystem_avail_bytes', host, root)),
    api.queryRange(rootDiskUsedQuery(host), grid.start, grid.end, grid.step),
  ]);
  const first = past[0];
  disk.value = { sizeBytes, availableBytes, times: gridTimes(grid), used: first ? align(first, grid) : [] };
}

async function readAlerts(): Promise<void> {
  const [list, rules] = await Promise.all([api.alerts(), api.alertingRules()]);
  alertsNow.value = {
    list: list.filter(({ state }) => state === 'firing' || state === 'pending'),
    ruleCount: rules.length,
    broken: rules.filter(({ health }) => health === 'err'),
  };
}

async function readDegraded(): Promise<void> {
  degraded.value = (await api.runtimeInfo()).degraded ?? [];
}

async function readSlow(host: Host): Promise<void> {
  const loads = ['node_load1', 'node_load5', 'node_load15'].map((metric) => one(select(metric, host)));
  await Promise.all([
    readAge(host),
    Promise.all(loads).then((values) => {
      load.value = values;
    }),
    guarded(() => readDisk(host), (message) => {
      diskError.value = message;
    }),
  ]);
}

async function readPanel(spec: PanelSpec, range: Range, grid: Grid): Promise<PanelData> {
  const answers = await Promise.all(
    spec.queries.map(({ expr }) => api.queryRange(expr, grid.start, grid.end, grid.step)),
  );
  const all = answers.flatMap((answer, i) => {
    const query = spec.queries[i];
    if (!query) return [];
    return answer.map((series): Series => ({
      name: query.name(series.metric),
      labels: series.metric,
      expr: query.expr,
      values: align(series, grid),
    }));
  });
  all.sort((a, b) => spec.order(a.name) - spec.order(b.name));
  // A stack of nothing only lengthens the legend. The first two always stay.
  const isSmall = ({ values }: Series, i: number) =>
    spec.stacked && i > 1 && values.every((v) => v === null || Math.abs(v) < spec.negligible);
  const hidden = all.filter(isSmall);
  const series = all.filter((s, i) => !isSmall(s, i));
  return { spec, range, grid, times: gridTimes(grid), series, hidden };
}

async function readPanels(known: Facts): Promise<void> {
  const range = shownRange();
  const step = stepFor(range.end - range.start, interval.value);
  const grid = gridFor(range, step);
  const specs = panels({
    host: known.host,
    window: rateWindow(step, interval.value),
    memoryTotal: known.memoryTotal,
    disks: known.disks,
    nets: known.nets,
  });
  const results = await Promise.allSettled(specs.map((spec) => readPanel(spec, range, grid)));
  const next = { ...panelStates.value };
  results.forEach((result, i) => {
    const spec = specs[i];
    if (!spec) return;
    next[spec.id] =
      result.status === 'fulfilled'
        ? { spec, data: result.value, error: null }
        : { spec, data: next[spec.id]?.data ?? null, error: refusal(result.reason) };
  });
  panelStates.value = next;
}

// What the frame of a page without charts shows. None of it is needed to show the page.
export async function readFrame(): Promise<void> {
  await Promise.allSettled([
    readAlerts(),
    readDegraded(),
    api.version().then((text) => {
      version.value = text;
    }),
  ]);
}

async function round(): Promise<void> {
  const now = browserNow();
  const slow = now - slowAt >= kSlowEverySeconds;
  if (version.value === '') {
    // Neither is needed to show data; an old server may lack them.
    version.value = await api.version().catch(() => '');
    serverHostname = (await api.runtimeInfo().catch((): api.RuntimeInfo => ({}))).hostname ?? '';
  }
  if (facts.value === null || now - factsAt >= kFactsEverySeconds) {
    await guarded(readFacts, (message) => {
      pageError.value = message;
    });
    factsAt = isComplete(facts.value) ? now : -Infinity;
  }
  const known = facts.value;
  if (known && slow) {
    await guarded(() => readSlow(known.host), (message) => {
      if (message !== null) pageError.value = message;
    });
  }
  await Promise.all([
    known ? readPanels(known) : undefined,
    slow
      ? guarded(readAlerts, (message) => {
          alertsError.value = message;
        })
      : undefined,
    // Not needed to show data.
    slow ? guarded(readDegraded, () => undefined) : undefined,
  ]);
  if (slow) slowAt = now;
}

function isComplete(known: Facts | null): boolean {
  return known !== null && known.cores !== null && known.memoryTotal !== null;
}

function schedule(seconds: number): void {
  clearTimeout(timer);
  if (seconds > 0 && !document.hidden) timer = setTimeout(() => void refresh(), seconds * 1000);
}

function afterFailure(error: unknown): void {
  if (!(error instanceof ApiError)) {
    pageError.value = error instanceof Error ? error.message : String(error);
    schedule(kRetryMaxSeconds);
    return;
  }
  const before = connection.value;
  const since = 'since' in before ? before.since : browserNow();
  connection.value = {
    state: error.trouble === 'starting' ? 'starting' : 'away',
    message: error.message,
    since,
    retryAt: browserNow() + retrySeconds,
  };
  schedule(retrySeconds);
  retrySeconds = Math.min(kRetryMaxSeconds, retrySeconds * 2);
}

// One round now; further ones follow on their own.
export async function refresh(): Promise<void> {
  if (running) {
    again = true;
    return;
  }
  running = true;
  busy.value = true;
  try {
    do {
      again = false;
      await round();
    } while (again);
    retrySeconds = kRetryFirstSeconds;
    batch(() => {
      connection.value = { state: 'live' };
      updatedAt.value = serverNow();
    });
    // While the first samples are awaited the page looks often.
    schedule(facts.value === null ? 1 : refreshSeconds());
  } catch (error) {
    afterFailure(error);
  } finally {
    running = false;
    busy.value = false;
  }
}

// After a change of range, host or refresh interval.
export function reload(): void {
  const wanted = currentChoice();
  if (facts.value && wanted && facts.value.host.instance !== wanted.instance) {
    batch(() => {
      facts.value = null;
      panelStates.value = {};
      disk.value = null;
      dataSince.value = null;
    });
    factsAt = -Infinity;
    slowAt = -Infinity;
  }
  clearTimeout(timer);
  void refresh();
}

export function start(): void {
  startedAt = browserNow();
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) void refresh();
    else clearTimeout(timer);
  });
  void refresh();
}
