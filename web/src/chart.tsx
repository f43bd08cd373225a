// One time chart: uPlot draws; axes, stacking, tooltip, keyboard and zoom are ours.

import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { clock, moment, text, tickText } from './format.ts';
import { type Palette, kDark, kLight, seriesColor, translucent } from './palette.ts';
import { type Values, stack, summarize, total, trend } from './series.ts';
import { dark } from './settings.ts';
import type { PanelData } from './store.ts';
import { type ValueAxis, timeTicks, timeTickText, valueAxis } from './time.ts';

const kXAxisHeight = 24;
const kYAxisWidth = 66;
const kTimeTickWidth = 58; // px that a label such as "14:02:10" and its distance take
const kEdge = 20; // px: a time label nearer to an end of the axis would be cut or collide
const kLineWidth = 1.5;
const kStackFillPercent = 40;
const kSync = uPlot.sync('home');

export interface ChartProps {
  data: PanelData;
  isolated: string | null; // only this series
  focused: string | null; // the others dimmed
  onCursor: (index: number | null) => void;
  onZoom: (from: number, to: number) => void;
  onZoomOut: () => void;
}

export function colorIndex(data: PanelData, name: string): number {
  // By the panel's own order and not by what happens to be drawn: a series keeps its colour.
  const place = data.spec.order(name);
  return place >= 0 ? place : 0;
}

// In uPlot's order. A stack is handed over from its top down: lines are painted in that
// order, and where a band has no height the lower one's line must stay in sight.
interface Drawing {
  names: string[];
  shown: PanelData['series'];
  columns: uPlot.AlignedData;
  axis: ValueAxis;
}

function drawing(data: PanelData, isolated: string | null): Drawing {
  const shown = data.series.filter(({ name }) => isolated === null || name === isolated);
  const values = shown.map((series) => series.values);
  const lines: Values[] = data.spec.stacked ? stack(values).reverse() : values;
  if (data.spec.stacked) shown.reverse();
  const max = Math.max(0, ...lines.map((line) => summarize(line).max ?? 0));
  const base = data.spec.unit === 'bytes' ? 1024 : 1000;
  return {
    names: shown.map(({ name }) => name),
    shown,
    columns: [data.times, ...lines],
    axis: valueAxis(max, data.spec.axisMaxLeast, data.spec.axisMax, base),
  };
}

// What stands on the canvas at the right end, read back from uPlot's own columns: tests
// compare it with the API.
function lastDrawn(u: uPlot, data: PanelData, current: Drawing): string {
  const times = u.data[0];
  const out = current.shown.map((series, i) => {
    const column = u.data[i + 1] ?? [];
    const below = data.spec.stacked ? u.data[i + 2] : undefined;
    let index = column.length - 1;
    while (index >= 0 && (series.values[index] === null || column[index] === null)) index -= 1;
    if (index < 0) return null;
    const value = (column[index] ?? 0) - (below?.[index] ?? 0);
    return { name: series.name, expr: series.expr, labels: series.labels, time: times[index], value };
  });
  return JSON.stringify(out.filter((entry) => entry !== null));
}

function sentence(data: PanelData): string {
  const { title, quantity, unit, stacked } = data.spec;
  const parts = stacked ? [{ name: 'in all', values: total(data.series.map((s) => s.values)) }] : data.series;
  const said = parts.map(({ name, values }) => {
    const { last, max } = summarize(values);
    return `${name} ${text(last, unit)}, at most ${text(max, unit)}, ${trend(values)}`;
  });
  return `${title}, ${quantity}. ${said.join('; ')}.`;
}

interface Live {
  data: PanelData;
  drawing: Drawing;
  props: ChartProps;
}

function axes(live: { current: Live }, palette: Palette): uPlot.Axis[] {
  const font = '11px "Inter Variable", system-ui, sans-serif';
  const line = { stroke: palette.grid, width: 1 };
  const common = { stroke: palette.text, font, grid: line, ticks: { show: false }, border: { show: false } };
  const splits = (u: uPlot) => {
    const { range } = live.current.data;
    const width = u.bbox.width / uPlot.pxRatio;
    const offset = -new Date(range.end * 1000).getTimezoneOffset() * 60;
    return timeTicks(range, Math.max(2, Math.floor(width / kTimeTickWidth)), offset);
  };
  return [
    {
      ...common,
      size: kXAxisHeight,
      gap: 6,
      splits: (u) => splits(u).ticks,
      values: (u, ticks) => {
        const { step } = splits(u);
        const width = u.bbox.width / uPlot.pxRatio;
        return ticks.map((t) => {
          const x = u.valToPos(t, 'x');
          return x < kEdge || x > width - kEdge ? '' : timeTickText(t, step);
        });
      },
    },
    {
      ...common,
      size: kYAxisWidth,
      gap: 8,
      splits: () => live.current.drawing.axis.ticks,
      values: (_, ticks) => ticks.map((tick) => tickText(tick, live.current.data.spec.unit)),
    },
  ];
}

// A lone sample has no line: such a series is shown as points.
function isLone(live: { current: Live }, index: number): boolean {
  return (live.current.drawing.shown[index]?.values.filter((v) => v !== null).length ?? 0) < 2;
}

function lines(live: { current: Live }, palette: Palette): Pick<uPlot.Options, 'series' | 'bands'> {
  const { data, drawing: drawn } = live.current;
  const colors = drawn.names.map((name) => seriesColor(palette, colorIndex(data, name)));
  const series: uPlot.Series[] = drawn.names.map((name, i) => {
    const color = colors[i] ?? palette.text;
    return {
      label: name,
      stroke: color,
      width: kLineWidth,
      points: { show: (_, index) => isLone(live, index - 1), size: 5, fill: color },
      ...(data.spec.stacked && i === drawn.names.length - 1 ? { fill: translucent(color, kStackFillPercent) } : {}),
    };
  });
  const bands: uPlot.Band[] = data.spec.stacked
    ? colors.slice(0, -1).map((color, i) => ({ series: [i + 1, i + 2], fill: translucent(color, kStackFillPercent) }))
    : [];
  return { series: [{}, ...series], bands };
}

function create(box: HTMLElement, live: { current: Live }, palette: Palette): uPlot {
  const options: uPlot.Options = {
    width: box.clientWidth,
    height: box.clientHeight,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    focus: { alpha: 0.25 },
    cursor: {
      y: false,
      points: { size: 7, width: 2 },
      drag: { x: true, y: false, setScale: false },
      sync: { key: kSync.key, setSeries: false },
      bind: {
        dblclick: () => () => {
          live.current.props.onZoomOut();
          return null;
        },
      },
    },
    scales: {
      x: { range: () => [live.current.data.range.start, live.current.data.range.end] },
      y: { range: () => [0, live.current.drawing.axis.top] },
    },
    axes: axes(live, palette),
    ...lines(live, palette),
    hooks: {
      draw: [
        (u) => {
          box.dataset['lastValues'] = lastDrawn(u, live.current.data, live.current.drawing);
          box.dataset['points'] = String((u.data[1] ?? []).filter((v) => v !== null).length);
        },
      ],
      setCursor: [(u) => live.current.props.onCursor(u.cursor.idx ?? null)],
      setSelect: [
        (u) => {
          if (u.select.width < 4) return;
          const from = u.posToVal(u.select.left, 'x');
          const to = u.posToVal(u.select.left + u.select.width, 'x');
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          live.current.props.onZoom(from, to);
        },
      ],
    },
  };
  return new uPlot(options, live.current.drawing.columns, box);
}

function Tooltip({ u, data, index, palette }: { u: uPlot; data: PanelData; index: number; palette: Palette }) {
  const left = u.valToPos(data.times[index] ?? 0, 'x') + kYAxisWidth;
  const flip = left > u.width * 0.6;
  return (
    <div
      class={`tooltip${flip ? ' tooltip-left' : ''}`}
      style={{ left: `${left}px` }}
      aria-hidden="true"
    >
      <div class="tooltip-time num">{moment(data.times[index] ?? 0, Date.now() / 1000)}</div>
      {data.series.map((series) => (
        <div class="tooltip-row" key={series.name}>
          <Swatch color={seriesColor(palette, colorIndex(data, series.name))} />
          <span class="tooltip-name">{series.name}</span>
          <span class="num">{text(series.values[index], data.spec.unit)}</span>
        </div>
      ))}
    </div>
  );
}

export function Swatch({ color }: { color: string }) {
  return (
    <svg class="swatch" width="14" height="4" aria-hidden="true">
      <rect width="14" height="4" rx="2" fill={color} />
    </svg>
  );
}

export function Chart(props: ChartProps) {
  const { data, isolated, focused } = props;
  const palette = dark.value ? kDark : kLight;
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const [hovered, setHovered] = useState(false);
  const [spoken, setSpoken] = useState('');
  const now = drawing(data, isolated);
  const live = useRef<Live>({ data, drawing: now, props });
  const onCursor = (index: number | null) => {
    setCursor(index);
    props.onCursor(index);
  };
  live.current = { data, drawing: now, props: { ...props, onCursor } };

  // A different set of lines or theme needs a new chart; new values do not.
  const shape = JSON.stringify([now.names, data.spec.stacked, data.spec.unit, dark.value]);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const u = create(element, live, palette);
    chart.current = u;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) u.setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      u.destroy();
      chart.current = null;
    };
  }, [shape]);

  useEffect(() => {
    const u = chart.current;
    if (u && u.data !== now.columns) u.setData(now.columns);
  }, [data, isolated]);

  useEffect(() => {
    const index = focused === null ? -1 : now.names.indexOf(focused);
    chart.current?.setSeries(index < 0 ? null : index + 1, { focus: index >= 0 });
  }, [focused, shape]);

  const moveTo = (index: number) => {
    const u = chart.current;
    const t = data.times[index];
    if (!u || t === undefined) return;
    u.setCursor({ left: u.valToPos(t, 'x'), top: u.bbox.height / uPlot.pxRatio / 2 });
    const values = data.series.map((s) => `${s.name} ${text(s.values[index], data.spec.unit)}`);
    setSpoken(`${clock(t)}: ${values.join(', ')}`);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const last = data.times.length - 1;
    const at = cursor ?? last + 1;
    if (event.key === 'ArrowLeft') moveTo(Math.max(0, at - 1));
    else if (event.key === 'ArrowRight') moveTo(Math.min(last, at + 1));
    else if (event.key === 'Home') moveTo(0);
    else if (event.key === 'End') moveTo(last);
    else if (event.key === 'Escape') chart.current?.setCursor({ left: -10, top: -10 });
    else return;
    event.preventDefault();
  };

  const u = chart.current;
  return (
    <div
      class="chart"
      tabIndex={0}
      role="img"
      aria-label={`${sentence(data)} Arrow keys read single moments.`}
      onKeyDown={onKeyDown}
      onMouseEnter={() => setHovered(true)}
      onMouseLeave={() => setHovered(false)}
      onBlur={() => chart.current?.setCursor({ left: -10, top: -10 })}
    >
      <div
        class="plot"
        ref={box}
        data-chart={data.spec.id}
        data-step={data.grid.step}
        data-series={data.series.length}
      />
      {u && hovered && cursor !== null && data.times[cursor] !== undefined && (
        <Tooltip u={u} data={data} index={cursor} palette={palette} />
      )}
      <span class="visually-hidden" aria-live="polite">
        {spoken}
      </span>
    </div>
  );
}
