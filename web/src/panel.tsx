// A card with a chart and its legend; keeps the last data under an error or a slow answer.

import { useState } from 'preact/hooks';
import { Chart, Swatch, colorIndex } from './chart.tsx';
import { clock, text, tickText } from './format.ts';
import { kDark, kLight, seriesColor } from './palette.ts';
import { summarize } from './series.ts';
import { absolute, dark, writeUrl } from './settings.ts';
import { type PanelData, type PanelState, panelStates, reload } from './store.ts';

function zoom(from: number, to: number): void {
  absolute.value = { from: Math.round(from), to: Math.max(Math.round(from) + 10, Math.round(to)) };
  writeUrl('push');
  reload();
}

export function zoomOut(): void {
  if (absolute.value === null) return;
  absolute.value = null;
  writeUrl('push');
  reload();
}

interface LegendProps {
  data: PanelData;
  cursor: number | null;
  isolated: string | null;
  onIsolate: (name: string | null) => void;
  onFocus: (name: string | null) => void;
}

// A real table. Where the card is wide it stands in two columns of rows (see style.css).
function Legend({ data, cursor, isolated, onIsolate, onFocus }: LegendProps) {
  const palette = dark.value ? kDark : kLight;
  const { unit, title } = data.spec;
  const at = cursor === null ? undefined : data.times[cursor];
  const head = (hidden: boolean) => (
    <div class="legend-row legend-head" role={hidden ? 'presentation' : 'row'} aria-hidden={hidden ? "true" : undefined}>
      <span role="columnheader">
        {at === undefined ? <span class="visually-hidden">Series</span> : <span class="num">{clock(at)}</span>}
      </span>
      <span role="columnheader">{at === undefined ? 'Last' : 'Value'}</span>
      <span role="columnheader">Mean</span>
      <span role="columnheader">Max</span>
    </div>
  );
  return (
    <div class="legend" role="table" aria-label={`${title}: last, mean and highest values`}>
      {head(false)}
      {data.series.length > 1 && head(true)}
      {data.series.map((series) => {
        const { last, mean, max } = summarize(series.values);
        const off = isolated !== null && isolated !== series.name;
        return (
          <div
            class={`legend-row${off ? ' legend-off' : ''}`}
            role="row"
            key={series.name}
            onMouseEnter={() => onFocus(series.name)}
            onMouseLeave={() => onFocus(null)}
          >
            <span role="rowheader">
              <button
                type="button"
                class="legend-name"
                aria-pressed={isolated === series.name}
                title={isolated === series.name ? 'Show all' : `Show ${series.name} alone`}
                onClick={() => onIsolate(isolated === series.name ? null : series.name)}
              >
                <Swatch color={seriesColor(palette, colorIndex(data, series.name))} />
                <span>{series.name}</span>
              </button>
            </span>
            <span role="cell" class="num">
              {text(cursor === null ? last : series.values[cursor], unit)}
            </span>
            <span role="cell" class="num">{text(mean, unit)}</span>
            <span role="cell" class="num">{text(max, unit)}</span>
          </div>
        );
      })}
    </div>
  );
}

function notes(data: PanelData): string {
  const names = data.hidden.map(({ name }) => name).join(', ');
  const small = names === '' ? '' : `below ${tickText(data.spec.negligible, data.spec.unit)}: ${names}`;
  return [data.spec.note, small].filter((note) => note !== '').join(' · ');
}

// The server's own words, and what it was asked: enough to find the fault or to report it.
function Failure({ message, state }: { message: string; state: PanelState }) {
  return (
    <div class="panel-error" role="alert">
      <strong>{state.data === null ? 'This chart could not be read.' : 'Not updated.'}</strong> {message}
      {state.data === null && state.spec.queries.map(({ expr }) => <code key={expr}>{expr}</code>)}
    </div>
  );
}

export function Panel({ id, title }: { id: string; title: string }) {
  const [cursor, setCursor] = useState<number | null>(null);
  const [isolated, setIsolated] = useState<string | null>(null);
  const [focused, setFocused] = useState<string | null>(null);
  const state = panelStates.value[id];
  const data = state?.data ?? null;
  const error = state?.error ?? null;
  const drawn = data !== null && data.series.some(({ values }) => values.some((v) => v !== null));
  const kept = isolated !== null && data?.series.some(({ name }) => name === isolated) ? isolated : null;
  const status = error !== null ? 'error' : data === null ? 'loading' : drawn ? 'ready' : 'empty';
  return (
    <section class="card panel" id={id} aria-labelledby={`${id}-title`} data-panel={id} data-state={status}>
      <header class="panel-head">
        <h2 id={`${id}-title`}>{title}</h2>
        <span class="quantity">{data?.spec.quantity}</span>
        <span class="panel-note">{data ? notes(data) : ''}</span>
      </header>
      {state && error !== null && <Failure message={error} state={state} />}
      {data === null && error === null && <div class="skeleton skeleton-chart" aria-label="Loading" />}
      {data !== null && drawn && (
        <div class={`panel-body${error !== null ? ' stale' : ''}`}>
          <Chart
            data={data}
            isolated={kept}
            focused={focused}
            onCursor={setCursor}
            onZoom={zoom}
            onZoomOut={zoomOut}
          />
          <Legend data={data} cursor={cursor} isolated={kept} onIsolate={setIsolated} onFocus={setFocused} />
        </div>
      )}
      {data !== null && !drawn && error === null && (
        <p class="panel-empty">
          <span aria-hidden="true">◌</span> {data.spec.empty}
        </p>
      )}
    </section>
  );
}
