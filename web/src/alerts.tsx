// What is firing and pending, worst first; or that all is well and who watches.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Alert } from './api.ts';
import { duration, moment, plural, text } from './format.ts';
import { type Level, LevelMark } from './icons.tsx';
import { parseValue } from './series.ts';
import { alertsError, alertsNow, serverNow } from './store.ts';

const kRowsMax = 100;
const kHiddenLabels = new Set(['alertname', 'severity']);

export function levelOf(alert: Alert): Level {
  const severity = (alert.labels['severity'] ?? '').toLowerCase();
  if (['critical', 'page', 'error', 'emergency'].includes(severity)) return 'critical';
  if (['info', 'none', 'notice'].includes(severity)) return 'info';
  return 'warning';
}

const kRank: Record<Level, number> = { critical: 0, warning: 1, info: 2, ok: 3, none: 4 };

// Firing before pending, worst first, newest first.
export function sortAlerts(list: Alert[]): Alert[] {
  const rank = (alert: Alert) => (alert.state === 'firing' ? 0 : 10) + kRank[levelOf(alert)];
  return [...list].sort((a, b) => rank(a) - rank(b) || since(b) - since(a));
}

function since(alert: Alert): number {
  const t = Date.parse(alert.activeAt ?? '') / 1000;
  return Number.isFinite(t) ? t : 0;
}

// What happened in a line, and what to know about it.
export function alertTexts(alert: Alert): string[] {
  const { summary, description, message } = alert.annotations;
  return [...new Set([summary, description, message].filter((text): text is string => Boolean(text)))];
}

function Row({ alert, now }: { alert: Alert; now: number }) {
  const level = levelOf(alert);
  const firing = alert.state === 'firing';
  const chips = Object.entries(alert.labels).filter(([name]) => !kHiddenLabels.has(name));
  const at = since(alert);
  return (
    <li class="alert" data-alert={alert.labels['alertname']} data-alert-state={alert.state}>
      <span class={`pill pill-${firing ? level : 'pending'}`}>
        <LevelMark level={level} />
        {firing ? 'Firing' : 'Pending'}
      </span>
      <div class="alert-what">
        <div class="alert-title">
          <strong>{alert.labels['alertname'] ?? 'Alert without a name'}</strong>
          <span class="alert-severity">{alert.labels['severity'] ?? ''}</span>
          {chips.map(([name, value]) => (
            <code class="chip" key={name}>
              {name}={value}
            </code>
          ))}
        </div>
        {alertTexts(alert).map((line, i) => (
          <div class={i === 0 ? 'alert-summary' : 'alert-more'} key={line}>
            {line}
          </div>
        ))}
      </div>
      <dl class="alert-facts">
        <div>
          <dt>Value</dt>
          <dd class="num">{alert.value === undefined ? '–' : text(parseValue(alert.value), 'none')}</dd>
        </div>
        <div>
          <dt>Since</dt>
          <dd class="num" title={at === 0 ? '' : moment(at, now)}>
            {at === 0 ? '–' : duration(now - at)}
          </dd>
        </div>
      </dl>
    </li>
  );
}

// Says a change of the number of firing alerts, at most every ten seconds.
function Announcer({ firing }: { firing: number }) {
  const [said, setSaid] = useState('');
  const last = useRef<{ count: number; at: number } | null>(null);
  useEffect(() => {
    const before = last.current;
    if (before === null) {
      last.current = { count: firing, at: 0 };
    } else if (before.count !== firing && Date.now() - before.at > 10_000) {
      last.current = { count: firing, at: Date.now() };
      setSaid(firing === 0 ? 'No alert is firing any more.' : `${plural(firing, 'alert')} firing.`);
    }
  });
  return (
    <div class="visually-hidden" role="status">
      {said}
    </div>
  );
}

function Calm({ rules }: { rules: number }) {
  if (rules === 0) {
    return (
      <p class="alerts-calm">
        <span aria-hidden="true">◌</span> No alerting rules are loaded.
      </p>
    );
  }
  return (
    <p class="alerts-calm">
      <LevelMark level="ok" /> All is well. {plural(rules, 'rule')} {rules === 1 ? 'watches' : 'watch'}; nothing is
      firing or pending.
    </p>
  );
}

export function AlertsSection() {
  const now = alertsNow.value;
  const sorted = now ? sortAlerts(now.list) : [];
  const firing = sorted.filter(({ state }) => state === 'firing').length;
  const counts = [
    firing > 0 ? `${firing} firing` : '',
    sorted.length > firing ? `${sorted.length - firing} pending` : '',
  ].filter((part) => part !== '');
  return (
    <section class="card alerts" id="alerts" aria-labelledby="alerts-title" data-firing={now ? firing : undefined}>
      <header class="panel-head">
        <h2 id="alerts-title">Alerts</h2>
        <span class="quantity">{counts.join(' · ')}</span>
        <span class="panel-note">{now && sorted.length > 0 ? `${plural(now.ruleCount ?? 0, 'rule')} loaded` : ''}</span>
      </header>
      {alertsError.value !== null && (
        <div class="panel-error" role="alert">
          <strong>{now === null ? 'The alerts could not be read.' : 'Not updated.'}</strong> {alertsError.value}
        </div>
      )}
      {now === null && alertsError.value === null && <div class="skeleton skeleton-line" aria-label="Loading" />}
      {now !== null && sorted.length === 0 && <Calm rules={now.ruleCount ?? 0} />}
      {sorted.length > 0 && (
        <ul class="alert-list">
          {sorted.slice(0, kRowsMax).map((alert) => (
            <Row key={JSON.stringify(alert.labels)} alert={alert} now={serverNow()} />
          ))}
        </ul>
      )}
      {sorted.length > kRowsMax && <p class="alerts-more">and {sorted.length - kRowsMax} more</p>}
      {now?.broken.map((rule) => (
        <div class="panel-error" key={rule.name}>
          <strong>Rule {rule.name} cannot be evaluated.</strong> {rule.lastError}
        </div>
      ))}
      <Announcer firing={firing} />
    </section>
  );
}
