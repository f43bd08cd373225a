// What the home page asks: selectors, the four panels, the tiles' own questions.

import type { Unit } from './format.ts';
import type { Labels } from './series.ts';

export interface Host {
  job: string;
  instance: string;
  nodename: string;
}

export interface Query {
  expr: string;
  name: (labels: Labels) => string;
}

export interface PanelSpec {
  id: 'cpu' | 'memory' | 'disk' | 'network';
  title: string;
  quantity: string;
  unit: Unit;
  stacked: boolean;
  queries: Query[];
  order: (name: string) => number; // of the drawn series: a colour stays with its name
  negligible: number; // a series that is always smaller is named and not drawn
  axisMaxLeast: number; // keeps an idle host's noise from filling the chart
  axisMax: number | null; // where the quantity has a natural end
  empty: string;
  note: string; // what was left out, '' for nothing
}

export function quote(text: string): string {
  return `"${text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}

// An alternation of literal names for =~.
export function anyOf(names: string[]): string {
  return quote(names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'));
}

export function select(metric: string, host: Host, ...more: string[]): string {
  return `${metric}{${[`job=${quote(host.job)}`, `instance=${quote(host.instance)}`, ...more].join(',')}}`;
}

// Devices are drawn as one pair of lines each: beyond four the chart says nothing.
const kDevicesMax = 4;
const kVirtualDisk = /^(loop|ram|zram|fd|sr|dm-|md|nbd)\d*/;
const kVirtualNet = /^(lo|veth|docker|br-|virbr|ifb|dummy|tun|tap|cni|flannel|cali|lxc|sit|ip6tnl|gre|erspan)/;

export interface Devices {
  shown: string[];
  left: number; // real ones that are not shown
}

// The busiest real devices since boot; virtual ones repeat what the real ones carry and
// count only where there is nothing else.
export function chooseDevices(all: Array<{ device: string; total: number }>, kind: 'disk' | 'network'): Devices {
  const virtual = kind === 'disk' ? kVirtualDisk : kVirtualNet;
  const real = all.filter(({ device }) => !virtual.test(device));
  const pool = real.length > 0 ? real : all;
  const busiest = [...pool].sort((a, b) => b.total - a.total || a.device.localeCompare(b.device));
  const shown = busiest.slice(0, kDevicesMax).map(({ device }) => device);
  return { shown, left: pool.length - shown.length };
}

const kCpuModes = ['user', 'system', 'iowait', 'nice', 'softirq', 'irq', 'steal'];

export interface PanelContext {
  host: Host;
  window: string; // of rate(), such as "20s"
  memoryTotal: number | null;
  disks: Devices;
  nets: Devices;
}

function cpuPanel({ host, window }: PanelContext): PanelSpec {
  return {
    id: 'cpu',
    title: 'CPU',
    quantity: '% of all cores',
    unit: 'percent',
    stacked: true,
    queries: [
      {
        expr: `avg by (mode) (rate(${select('node_cpu_seconds_total', host, 'mode!="idle"')}[${window}])) * 100`,
        name: (labels) => labels['mode'] ?? '',
      },
    ],
    order: (name) => (kCpuModes.includes(name) ? kCpuModes.indexOf(name) : kCpuModes.length),
    negligible: 0.5,
    axisMaxLeast: 10,
    axisMax: 100,
    empty: 'No processor times in this range.',
    note: '',
  };
}

function memoryPanel({ host, memoryTotal }: PanelContext): PanelSpec {
  const total = select('node_memory_MemTotal_bytes', host);
  const available = select('node_memory_MemAvailable_bytes', host);
  const free = select('node_memory_MemFree_bytes', host);
  const names = ['used', 'cache'];
  return {
    id: 'memory',
    title: 'Memory',
    quantity: 'used and reclaimable',
    unit: 'bytes',
    stacked: true,
    queries: [
      { expr: `${total} - ${available}`, name: () => 'used' },
      // What the kernel gives back when asked. Just after boot "available" can be a
      // little below "free".
      { expr: `clamp_min(${available} - ${free}, 0)`, name: () => 'cache' },
    ],
    order: (name) => names.indexOf(name),
    negligible: 0,
    axisMaxLeast: memoryTotal ?? 0,
    axisMax: memoryTotal,
    empty: 'No memory figures in this range.',
    note: '',
  };
}

function devicesNote({ left }: Devices, one: string, many: string): string {
  return left === 0 ? '' : `${left} less busy ${left === 1 ? one : many} not shown`;
}

function pairPanel(
  base: Pick<PanelSpec, 'id' | 'title' | 'quantity' | 'unit' | 'empty' | 'note' | 'axisMaxLeast'>,
  devices: string[],
  queries: Array<{ expr: string; direction: string }>,
): PanelSpec {
  const directions = queries.map(({ direction }) => direction);
  return {
    ...base,
    stacked: false,
    negligible: 0,
    queries:
      devices.length === 0
        ? []
        : queries.map(({ expr, direction }) => ({
            expr,
            name: (labels) => `${labels['device'] ?? ''} ${direction}`,
          })),
    order: (name) => {
      const [device = '', direction = ''] = name.split(' ');
      return devices.indexOf(device) * directions.length + directions.indexOf(direction);
    },
    axisMax: null,
  };
}

function diskPanel({ host, window, disks }: PanelContext): PanelSpec {
  const rate = (metric: string) => `rate(${select(metric, host, `device=~${anyOf(disks.shown)}`)}[${window}])`;
  return pairPanel(
    {
      id: 'disk',
      title: 'Disk I/O',
      quantity: 'bytes per second',
      unit: 'bytes/s',
      axisMaxLeast: 100_000,
      empty: disks.shown.length === 0 ? 'This host reports no disks.' : 'No disk counters in this range.',
      note: devicesNote(disks, 'disk', 'disks'),
    },
    disks.shown,
    [
      { expr: rate('node_disk_read_bytes_total'), direction: 'read' },
      { expr: rate('node_disk_written_bytes_total'), direction: 'write' },
    ],
  );
}

function networkPanel({ host, window, nets }: PanelContext): PanelSpec {
  const rate = (metric: string) => `rate(${select(metric, host, `device=~${anyOf(nets.shown)}`)}[${window}]) * 8`;
  return pairPanel(
    {
      id: 'network',
      title: 'Network',
      quantity: 'bits per second',
      unit: 'bits/s',
      axisMaxLeast: 10_000,
      empty:
        nets.shown.length === 0 ? 'This host reports no network interfaces.' : 'No network counters in this range.',
      note: devicesNote(nets, 'interface', 'interfaces'),
    },
    nets.shown,
    [
      { expr: rate('node_network_receive_bytes_total'), direction: 'in' },
      { expr: rate('node_network_transmit_bytes_total'), direction: 'out' },
    ],
  );
}

export function panels(context: PanelContext): PanelSpec[] {
  return [cpuPanel(context), memoryPanel(context), diskPanel(context), networkPanel(context)];
}

export function rootDiskUsedQuery(host: Host): string {
  const root = 'mountpoint="/",fstype!="rootfs"';
  const size = select('node_filesystem_size_bytes', host, root);
  return `100 * (1 - ${select('node_filesystem_avail_bytes', host, root)} / ${size})`;
}
