// The frame around the page: navigation, top bar with time, refresh and theme, banners.

import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { clock, duration, moment } from './format.ts';
import { Icon, type IconName } from './icons.tsx';
import { zoomOut } from './panel.tsx';
import { isCardinalityPage } from './route.ts';
import {
  type Theme, absolute, chooseTheme, kRefreshChoices, rangeChoice, refreshChoice, theme, writeUrl,
} from './settings.ts';
import {
  alertsNow, busy, connection, degraded, interval, rangeSeconds, refresh, refreshSeconds, reload, serverNow, updatedAt, version,
} from './store.ts';
import { kPresets } from './time.ts';

function firingCount(): number {
  return alertsNow.value?.list.filter(({ state }) => state === 'firing').length ?? 0;
}

function FiringPill() {
  const count = firingCount();
  return count === 0 ? null : (
    <span class="nav-pill num">
      {count}
      <span class="visually-hidden"> firing</span>
    </span>
  );
}

interface Entry {
  icon: IconName;
  name: string;
  href: string;
  isCurrent: boolean;
  children?: ComponentChildren;
}

function NavEntry({ icon, name, href, isCurrent, children }: Entry) {
  const current = isCurrent ? { 'aria-current': 'page' as const } : {};
  return (
    <a class={`nav-entry${isCurrent ? ' nav-current' : ''}`} href={href} title={name} {...current}>
      <Icon name={icon} />
      <span class="nav-label">{name}</span>
      {children}
    </a>
  );
}

export function Nav() {
  return (
    <nav class="nav" aria-label="Pages">
      <div class="nav-inner">
      <a class="brand" href="./">
        <Icon name="petrel" />
        <span>Petrel</span>
      </a>
      <NavEntry icon="home" name="Home" href={isCardinalityPage ? './' : '#top'} isCurrent={!isCardinalityPage} />
      <NavEntry icon="bell" name="Alerts" href={isCardinalityPage ? './#alerts' : '#alerts'} isCurrent={false}>
        <FiringPill />
      </NavEntry>
      <NavEntry
        icon="layers"
        name="Cardinality"
        href={isCardinalityPage ? '#top' : 'cardinality'}
        isCurrent={isCardinalityPage}
      />
      <div class="nav-foot">
        {version.value !== '' && <span>Petrel {version.value}</span>}
        <a href="metrics">Own metrics</a>
        <a href="licenses.txt">Licences</a>
      </div>
      </div>
    </nav>
  );
}

function rangeName(seconds: number): string {
  return kPresets.find((preset) => preset.seconds === seconds)?.name ?? `Last ${duration(seconds)}`;
}

function RangePicker() {
  const fixed = absolute.value;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (fixed) {
    const now = serverNow();
    const label = `${moment(fixed.from, now)} – ${moment(fixed.to, now)}`;
    return (
      <button type="button" class="control" onClick={zoomOut} title="Back to the newest data">
        <Icon name="back" />
        <span class="num">{label}</span>
      </button>
    );
  }
  return (
    <label class="control select" title={`Times in ${zone}`}>
      <Icon name="clock" />
      <span class="visually-hidden">Time range (times in {zone})</span>
      <select
        value={rangeChoice.value}
        data-control="range"
        onChange={(event) => {
          rangeChoice.value = event.currentTarget.value;
          writeUrl('push');
          reload();
        }}
      >
        <option value="auto">{rangeName(rangeSeconds())} (auto)</option>
        {kPresets.map(({ id, name }) => (
          <option value={id} key={id}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function RefreshPicker() {
  const auto = Math.max(1, refreshSeconds());
  return (
    <div class="control-group">
      <button
        type="button"
        class={`control control-icon${busy.value ? ' busy' : ''}`}
        title="Refresh now"
        aria-label="Refresh now"
        onClick={() => void refresh()}
      >
        <Icon name="refresh" />
      </button>
      <label class="control select">
        <span class="visually-hidden">Refresh every</span>
        <select
          value={refreshChoice.value === null ? 'auto' : String(refreshChoice.value)}
          data-control="refresh"
          onChange={(event) => {
            const value = event.currentTarget.value;
            refreshChoice.value = value === 'auto' ? null : Number(value);
            writeUrl('replace');
            reload();
          }}
        >
          <option value="auto">{refreshChoice.value === null ? `${auto} s (auto)` : 'auto'}</option>
          {kRefreshChoices.map((seconds) => (
            <option value={String(seconds)} key={seconds}>
              {seconds === 0 ? 'off' : duration(seconds)}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

const kThemes: ReadonlyArray<{ id: Theme; icon: IconName; name: string }> = [
  { id: 'system', icon: 'screen', name: "system's" },
  { id: 'light', icon: 'sun', name: 'light' },
  { id: 'dark', icon: 'moon', name: 'dark' },
];

function ThemeButton() {
  const index = kThemes.findIndex(({ id }) => id === theme.value);
  const current = kThemes[index] ?? kThemes[0];
  const next = kThemes[(index + 1) % kThemes.length] ?? kThemes[0];
  if (!current || !next) return null;
  const label = `Theme: ${current.name}. Change to ${next.name}`;
  return (
    <button
      type="button"
      class="control control-icon"
      data-control="theme"
      title={label}
      aria-label={label}
      onClick={() => chooseTheme(next.id)}
    >
      <Icon name={current.icon} />
    </button>
  );
}

function LiveState() {
  const state = connection.value.state;
  const at = updatedAt.value;
  if (state === 'connecting' || at === null) return <span class="live" />;
  const paused = refreshSeconds() === 0;
  return (
    <span class="live" title={`Samples every ${interval.value} s`} data-live={state}>
      <span class={`live-dot live-${state === 'live' ? (paused ? 'paused' : 'on') : 'off'}`} aria-hidden="true" />
      {state === 'live' ? (paused ? 'Paused' : 'Live') : 'Not connected'}
      <span class="live-at num">{clock(at)}</span>
    </span>
  );
}

export function TopBar() {
  return (
    <header class="topbar">
      <a class="brand brand-small" href="./" aria-label="Petrel">
        <Icon name="petrel" />
        <span>Petrel</span>
      </a>
      {!isCardinalityPage && <LiveState />}
      <div class="controls">
        <a
          class="control control-icon page-short"
          href={isCardinalityPage ? './' : 'cardinality'}
          aria-label={isCardinalityPage ? 'Home' : 'Cardinality'}
        >
          <Icon name={isCardinalityPage ? 'home' : 'layers'} />
        </a>
        {!isCardinalityPage && <HomeControls />}
        <ThemeButton />
      </div>
    </header>
  );
}

function HomeControls() {
  return (
    <>
      <a class="control control-icon alerts-short" href="#alerts" aria-label={`Alerts, ${firingCount()} firing`}>
        <Icon name="bell" />
        <FiringPill />
      </a>
      <RangePicker />
      <RefreshPicker />
    </>
  );
}

// What the server says of itself that does not work, while it answers.
export function DegradedBanner() {
  const { state } = connection.value;
  const all = degraded.value;
  if (all.length === 0 || state === 'away' || state === 'starting') return null;
  const stopped = all.some(({ stopsWrites }) => stopsWrites);
  return (
    <div class="banner" role="alert" data-banner="degraded">
      <span class="banner-mark" aria-hidden="true">▲</span>
      <span class="banner-what">
        <strong>{stopped ? 'No new samples are stored.' : 'Petrel is degraded.'}</strong>
        {all.map(({ part, reason, text }) => (
          <span class="banner-why" key={`${part} ${reason}`}>
            {' '}
            {part}: {text}
          </span>
        ))}
      </span>
    </div>
  );
}

// Counts down to the next try; keeps saying how old the picture is.
export function ConnectionBanner() {
  const now = connection.value;
  const [, tick] = useState(0);
  const down = now.state === 'away' || now.state === 'starting';
  useEffect(() => {
    if (!down) return undefined;
    const id = setInterval(() => tick((n) => n + 1), 500);
    return () => clearInterval(id);
  }, [down]);
  if (now.state !== 'away' && now.state !== 'starting') return null;
  const at = updatedAt.value;
  const left = Math.max(0, Math.ceil(now.retryAt - Date.now() / 1000));
  const what = now.state === 'starting' ? 'Petrel is starting.' : 'Connection lost.';
  return (
    <div class="banner" role="alert" data-banner={now.state}>
      <span class="banner-mark" aria-hidden="true">▲</span>
      <span class="banner-what">
        <strong>{what}</strong> {at === null ? 'No data yet.' : `Showing data of ${clock(at)}.`}{' '}
        <span class="banner-why">{now.message}</span>
      </span>
      <span class="banner-next num">{left > 0 ? `next try in ${left} s` : 'trying…'}</span>
      <button type="button" class="control" onClick={() => void refresh()}>
        Try now
      </button>
    </div>
  );
}
