// The pages: this host at a glance, and what takes the room.

import { render } from 'preact';
import './style.css';
import { AlertsSection } from './alerts.tsx';
import { readCardinalityUrl, startCardinality } from './cardinality.ts';
import { CardinalityPage } from './cardinality_page.tsx';
import { clock, duration, plural, text } from './format.ts';
import { ConnectionBanner, DegradedBanner, Nav, TopBar } from './frame.tsx';
import { isCardinalityPage } from './route.ts';
import { Panel } from './panel.tsx';
import { hostChoice, readUrl, startTheme, writeUrl } from './settings.ts';
import {
  alertsNow, collecting, connection, dataSince, facts, hosts, interval, pageError, reload, serverNow, start,
} from './store.ts';
import { Tiles } from './tiles.tsx';

function HostFacts() {
  const known = facts.value;
  if (!known) return <p class="subtitle">{'\u00a0'}</p>;
  const since = dataSince.value;
  const young = since !== null && serverNow() - since < 3300;
  const count = known.seriesCount;
  const parts = [
    known.os,
    known.cores === null ? '' : plural(known.cores, 'core'),
    known.memoryTotal === null ? '' : text(known.memoryTotal, 'bytes'),
    known.bootTime === null ? '' : `up ${duration(serverNow() - known.bootTime)}`,
    `collecting ${count === null ? '' : `${plural(count, 'series', 'series')} `}every ${interval.value}\u2009s${young ? `, since ${clock(since)}` : ''}`,
  ];
  return (
    <p class="subtitle" data-facts>
      {parts.filter((part) => part !== '').join(' · ')}
    </p>
  );
}

function HostName() {
  const known = facts.value;
  if (!known) return <h1>{connection.value.state === 'connecting' ? '\u00a0' : 'This host'}</h1>;
  if (hosts.value.length < 2) return <h1>{known.host.nodename}</h1>;
  return (
    <h1 class="host-choice">
      <label>
        <span class="visually-hidden">Host</span>
        <select
          value={known.host.instance}
          onChange={(event) => {
            hostChoice.value = event.currentTarget.value;
            writeUrl('push');
            reload();
          }}
        >
          {hosts.value.map(({ instance, nodename }) => (
            <option value={instance} key={instance}>
              {hosts.value.filter((other) => other.nodename === nodename).length > 1
                ? `${nodename} (${instance})`
                : nodename}
            </option>
          ))}
        </select>
      </label>
    </h1>
  );
}

function Notice() {
  if (pageError.value !== null) {
    return (
      <div class="card notice notice-error" role="alert">
        <strong>This host's data could not be read.</strong> {pageError.value}
      </div>
    );
  }
  if (facts.value !== null || collecting.value === 'no') return null;
  return collecting.value === 'soon' ? (
    <div class="card notice" role="status" data-notice="collecting">
      <span class="pulse" aria-hidden="true" /> <strong>Collecting.</strong> The first samples arrive in a second.
    </div>
  ) : (
    <div class="card notice" role="status" data-notice="nothing">
      <strong>No host data.</strong> No series <code>node_uname_info</code> has arrived: the host collector is off, or
      nothing is scraped or pushed yet.
    </div>
  );
}

function HomePage() {
  const firing = alertsNow.value?.list.some(({ state }) => state === 'firing') ?? false;
  return (
    <>
      <div class="title">
        <HostName />
        <HostFacts />
      </div>
      <Notice />
      <Tiles />
      {firing && <AlertsSection />}
      <div class="charts">
        <Panel id="cpu" title="CPU" />
        <Panel id="memory" title="Memory" />
        <Panel id="disk" title="Disk I/O" />
        <Panel id="network" title="Network" />
      </div>
      {!firing && <AlertsSection />}
    </>
  );
}

function Page() {
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <Nav />
      <div class="page" id="top">
        <TopBar />
        {!isCardinalityPage && <ConnectionBanner />}
        <DegradedBanner />
        <main id="main" tabIndex={-1}>
          {isCardinalityPage ? <CardinalityPage /> : <HomePage />}
        </main>
      </div>
    </>
  );
}

startTheme();
const root = document.getElementById('app');
if (isCardinalityPage) {
  document.title = 'Cardinality - Petrel';
  readCardinalityUrl(location.search);
  addEventListener('popstate', () => readCardinalityUrl(location.search));
  if (root) {
    render(<Page />, root);
    startCardinality();
  }
} else {
  readUrl(location.search);
  addEventListener('popstate', () => {
    readUrl(location.search);
    reload();
  });
  if (root) {
    render(<Page />, root);
    start();
  }
}
