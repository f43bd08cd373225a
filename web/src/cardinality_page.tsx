// The cardinality page: what takes the room, and what changed since yesterday.

import {
  type Row, type Table, cardinalitySearch, chosenRows, countText, filter, kRowsShown, loadCardinality, loading, order,
  percent, report, reportError, shortCount, signedText, status, tables,
} from './cardinality.ts';
import { useState } from 'preact/hooks';
import { duration, moment, plural, text } from './format.ts';
import { Icon } from './icons.tsx';

const seconds = (time: string): number => Date.parse(time) / 1000;

function writeSearch(): void {
  history.replaceState(null, '', location.pathname + cardinalitySearch() + location.hash);
}

function Tools() {
  return (
    <div class="tools" role="search">
      <input
        class="control filter"
        type="search"
        placeholder="Filter by name"
        aria-label="Filter all tables by name"
        data-control="filter"
        value={filter.value}
        onInput={(event) => {
          filter.value = event.currentTarget.value;
          writeSearch();
        }}
      />
      <label class="control select">
        <span class="visually-hidden">Order of the tables</span>
        <select
          value={order.value}
          data-control="order"
          onChange={(event) => {
            order.value = event.currentTarget.value === 'change' ? 'change' : 'count';
            writeSearch();
          }}
        >
          <option value="count">Largest first</option>
          <option value="change">Most changed first</option>
        </select>
      </label>
      <button type="button" class={`control${loading.value ? ' busy' : ''}`} onClick={() => void loadCardinality()}>
        <Icon name="refresh" /> Refresh
      </button>
    </div>
  );
}

function Fact({ label, value, detail }: { label: string; value: string; detail: string }) {
  return (
    <div class="card tile">
      <span class="tile-label">{label}</span>
      <span class="tile-value num">{value}</span>
      <span class="tile-detail">{detail || '\u00a0'}</span>
    </div>
  );
}

function Facts() {
  const now = report.value;
  const head = status.value?.headStats;
  if (now === null || head === undefined) return null;
  const change = now.seriesBefore === null ? null : now.series - now.seriesBefore;
  const part = change === null || now.seriesBefore === null ? null : percent(change, now.seriesBefore);
  const relative = part === null ? '' : ` (${part > 0 ? '+' : ''}${part.toFixed(1)}\u2009%)`;
  const age = now.since === null ? '' : duration(seconds(now.time) - seconds(now.since));
  const span = now.series > 0 && head.maxTime >= head.minTime ? duration((head.maxTime - head.minTime) / 1000) : '–';
  const until = span === '–' ? '' : `until ${moment(head.maxTime / 1000, seconds(now.time))}`;
  return (
    <div class="tiles" data-facts>
      <Fact
        label="Series in memory"
        value={shortCount(now.series)}
        detail={change === null ? countText(now.series) : `${signedText(change)}${relative} in ${age}`}
      />
      <Fact label="Label pairs" value={shortCount(now.labelPairs)} detail={plural(now.labelNames, 'label name')} />
      <Fact
        label="Created"
        value={shortCount(now.churn.created)}
        detail={`${countText(now.churn.gone)} gone, in ${duration(seconds(now.time) - seconds(now.churn.since))}`}
      />
      <Fact label="Time in memory" value={span} detail={until} />
      <Fact
        label="Values stored raw"
        value={text(percent(now.fallback.raw, now.fallback.sampled), 'percent')}
        detail={`of ${plural(now.fallback.sampled, 'sampled series', 'sampled series')}`}
      />
    </div>
  );
}

function Cells({ row, table }: { row: Row; table: Table }) {
  return (
    <>
      {row.values.map(({ value, atLeast }, i) => {
        if (i !== table.signed) {
          const shown = table.columns[i] === '%' ? (value === null ? '–' : value.toFixed(0)) : countText(value);
          return <td class="num" key={i}>{shown}</td>;
        }
        const sign = value === null || value === 0 ? 'same' : value > 0 ? 'more' : 'less';
        return (
          <td class={`num change-${sign}`} key={i} data-change={value ?? ''}>
            {signedText(value, atLeast)}
          </td>
        );
      })}
    </>
  );
}

function TableCard({ table }: { table: Table }) {
  const [all, setAll] = useState(false);
  const rows = chosenRows(table, filter.value, order.value);
  const shown = all ? rows : rows.slice(0, kRowsShown);
  const empty = table.rows.length === 0 ? 'None.' : `None of ${table.rows.length} matches the filter.`;
  return (
    <section class="card counts" data-table={table.id} aria-labelledby={`counts-${table.id}`}>
      <header class="panel-head">
        <h2 id={`counts-${table.id}`}>{table.title}</h2>
        <span class="panel-note">{table.note}</span>
      </header>
      {rows.length === 0 ? (
        <p class="counts-empty">{empty}</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              {table.columns.map((column) => (
                <th scope="col" class="num" key={column}>
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={row.name}>
                <th scope="row" title={row.query ?? row.name}>
                  {row.parts.map((part, i) => (
                    <span class={i === 0 ? '' : 'counts-more'} key={i}>
                      {part}
                    </span>
                  ))}
                </th>
                <Cells row={row} table={table} />
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {rows.length > kRowsShown && (
        <button type="button" class="counts-all" onClick={() => setAll(!all)} aria-expanded={all}>
          {all ? 'Show fewer' : `Show all ${rows.length}`}
        </button>
      )}
    </section>
  );
}

function Compared() {
  const now = report.value;
  if (now === null) return <p class="subtitle">{'\u00a0'}</p>;
  const at = seconds(now.time);
  return (
    <p class="subtitle" data-since={now.since ?? ''}>
      {now.since === null
        ? 'No comparison yet: the first counts have to be an hour old.'
        : `Changes since ${moment(seconds(now.since), at)}, ${duration(at - seconds(now.since))} ago.`}
    </p>
  );
}

function Body() {
  const now = report.value;
  if (now === null) {
    return reportError.value === null ? <div class="card skeleton skeleton-chart" aria-label="Loading" /> : null;
  }
  if (now.series === 0 && now.metrics.length === 0) {
    return (
      <div class="card notice" role="status" data-notice="nothing">
        <strong>No series in memory.</strong> Nothing is scraped or pushed yet, or nothing has arrived for hours; older
        samples are in blocks, which <code>petrel tsdb analyze</code> looks into.
      </div>
    );
  }
  return (
    <>
      <Facts />
      <div class="counts-grid">
        {tables(now, status.value).map((table) => (
          <TableCard table={table} key={table.id} />
        ))}
      </div>
    </>
  );
}

export function CardinalityPage() {
  return (
    <>
      <div class="title title-tools">
        <div>
          <h1>Cardinality</h1>
          <Compared />
        </div>
        <Tools />
      </div>
      {reportError.value !== null && (
        <div class="card notice notice-error" role="alert">
          <strong>{report.value === null ? 'The counts could not be read.' : 'Not updated.'}</strong> {reportError.value}
        </div>
      )}
      <Body />
    </>
  );
}
