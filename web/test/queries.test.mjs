import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from './load.mjs';

const { anyOf, chooseDevices, panels, quote, rootDiskUsedQuery, select } = await load('queries.ts');

const host = { job: 'node', instance: 'web-1:9090', nodename: 'web-1' };
const context = {
  host,
  window: '20s',
  memoryTotal: 2 ** 34,
  disks: { shown: ['nvme0n1', 'sda'], left: 0 },
  nets: { shown: ['eth0'], left: 2 },
};

test('label values are quoted so that nothing breaks out of them', () => {
  assert.equal(quote('a"b\\c\nd'), '"a\\"b\\\\c\\nd"');
  assert.equal(select('up', { ...host, instance: 'x"} or vector(1) #' }), 'up{job="node",instance="x\\"} or vector(1) #"}');
});

test('device names are matched literally', () => {
  assert.equal(anyOf(['eth0', 'br.1+2']), '"eth0|br\\\\.1\\\\+2"');
});

test('the four panels ask for this host only', () => {
  const specs = panels(context);
  assert.deepEqual(specs.map(({ id }) => id), ['cpu', 'memory', 'disk', 'network']);
  for (const { queries } of specs) {
    for (const { expr } of queries) assert.ok(expr.includes('job="node",instance="web-1:9090"'), expr);
  }
});

test('CPU is per cent of all cores by mode', () => {
  const cpu = panels(context)[0];
  assert.equal(
    cpu?.queries[0]?.expr,
    'avg by (mode) (rate(node_cpu_seconds_total{job="node",instance="web-1:9090",mode!="idle"}[20s])) * 100',
  );
  assert.equal(cpu?.queries[0]?.name({ mode: 'iowait' }), 'iowait');
  assert.ok((cpu?.order('user') ?? 9) < (cpu?.order('system') ?? 0));
});

test('a device has its two directions beside each other, in the order of the devices', () => {
  const disk = panels(context)[2];
  const names = disk?.queries.map(({ name }) => name({ device: 'sda' }));
  assert.deepEqual(names, ['sda read', 'sda write']);
  const drawn = ['sda read', 'nvme0n1 write', 'sda write', 'nvme0n1 read'].sort(
    (a, b) => (disk?.order(a) ?? 0) - (disk?.order(b) ?? 0),
  );
  assert.deepEqual(drawn, ['nvme0n1 read', 'nvme0n1 write', 'sda read', 'sda write']);
});

test('network is in bits and says how many interfaces are left out', () => {
  const network = panels(context)[3];
  assert.match(network?.queries[0]?.expr ?? '', /^rate\(node_network_receive_bytes_total\{.*device=~"eth0"\}\[20s\]\) \* 8$/);
  assert.equal(network?.note, '2 less busy interfaces not shown');
});

test('a host without disks asks nothing and says so', () => {
  const disk = panels({ ...context, disks: { shown: [], left: 0 } })[2];
  assert.deepEqual(disk?.queries, []);
  assert.equal(disk?.empty, 'This host reports no disks.');
});

test('virtual devices count only where there is nothing else', () => {
  const all = [
    { device: 'loop0', total: 9 },
    { device: 'dm-0', total: 900 },
    { device: 'sda', total: 5 },
    { device: 'vda', total: 500 },
  ];
  assert.deepEqual(chooseDevices(all, 'disk'), { shown: ['vda', 'sda'], left: 0 });
  assert.deepEqual(chooseDevices([{ device: 'lo', total: 1 }], 'network'), { shown: ['lo'], left: 0 });
  assert.deepEqual(chooseDevices([], 'network'), { shown: [], left: 0 });
});

test('only the four busiest devices are drawn', () => {
  const all = Array.from({ length: 7 }, (_, i) => ({ device: `eth${i}`, total: i }));
  assert.deepEqual(chooseDevices(all, 'network'), { shown: ['eth6', 'eth5', 'eth4', 'eth3'], left: 3 });
});

test('disk use is what users can no longer write', () => {
  assert.match(rootDiskUsedQuery(host), /^100 \* \(1 - node_filesystem_avail_bytes\{.*mountpoint="\/".*\} \/ node_filesystem_size_bytes/);
});
