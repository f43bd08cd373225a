// The HTTP API that everything on the page comes from: Prometheus's, same origin.

import type { Labels, MatrixSeries } from './series.ts';

// 'away': nobody answers. 'starting': the server is up and replays its log.
// 'refused': the server answered with an error; the message is its own.
export type Trouble = 'away' | 'starting' | 'refused';

export class ApiError extends Error {
  constructor(
    readonly trouble: Trouble,
    message: string,
  ) {
    super(message);
  }
}

const kTimeoutMs = 15_000;
const kMessageMax = 400;

interface Envelope<T> {
  status: 'success' | 'error';
  data: T;
  error?: string;
  errorType?: string;
}

export interface VectorSample {
  metric: Labels;
  value: [number, string];
}

export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: string;
  activeAt?: string;
  value?: string;
}

export interface Rule {
  name: string;
  type: string;
  health?: string;
  lastError?: string;
}

// Relative to the page, so that it works below a path prefix.
function url(path: string, params: Record<string, string>): string {
  const query = new URLSearchParams(params).toString();
  return query === '' ? path : `${path}?${query}`;
}

async function get<T>(path: string, params: Record<string, string> = {}): Promise<T> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), kTimeoutMs);
  let response: Response;
  let body: string;
  try {
    response = await fetch(url(path, params), { signal: abort.signal, cache: 'no-store' });
    body = await response.text();
  } catch {
    throw new ApiError('away', abort.signal.aborted ? `no answer within ${kTimeoutMs / 1000} s` : 'connection refused');
  } finally {
    clearTimeout(timer);
  }
  if (response.status === 502 || response.status === 504) throw new ApiError('away', `HTTP ${response.status}`);
  let envelope: Envelope<T>;
  try {
    envelope = JSON.parse(body) as Envelope<T>;
  } catch {
    if (response.status === 503) throw new ApiError('starting', serverText(body) || 'HTTP 503');
    throw new ApiError(
      'refused',
      response.ok ? 'the answer is cut off or not JSON' : `HTTP ${response.status}: ${serverText(body)}`,
    );
  }
  if (envelope.status !== 'success') {
    // A query that took too long is a 503 as well, and its chart's own trouble.
    const trouble = response.status === 503 && envelope.errorType !== 'timeout' ? 'starting' : 'refused';
    throw new ApiError(trouble, serverText(body) || `HTTP ${response.status}`);
  }
  return envelope.data;
}

// The server's own words, from its JSON where it sent some.
function serverText(body: string): string {
  let message = body.trim();
  try {
    message = (JSON.parse(body) as { error?: string }).error ?? message;
  } catch {
    // plain text
  }
  return message.length > kMessageMax ? `${message.slice(0, kMessageMax)}…` : message;
}

export async function queryVector(query: string): Promise<VectorSample[]> {
  const data = await get<{ result: VectorSample[] }>('api/v1/query', { query });
  return data.result;
}

export async function queryRaw(query: string): Promise<MatrixSeries[]> {
  const data = await get<{ result: MatrixSeries[] }>('api/v1/query', { query });
  return data.result;
}

export async function queryRange(query: string, start: number, end: number, step: number): Promise<MatrixSeries[]> {
  const data = await get<{ result: MatrixSeries[] }>('api/v1/query_range', {
    query,
    start: String(start),
    end: String(end),
    step: String(step),
  });
  return data.result;
}

export async function alerts(): Promise<Alert[]> {
  return (await get<{ alerts: Alert[] }>('api/v1/alerts')).alerts;
}

export async function alertingRules(): Promise<Rule[]> {
  const data = await get<{ groups: Array<{ rules: Rule[] }> }>('api/v1/rules', { type: 'alert' });
  return data.groups.flatMap((group) => group.rules).filter((rule) => rule.type === 'alerting');
}

// What does not work though the server answers, in its words.
export interface Degraded {
  part: string;
  reason: string;
  text: string;
  stopsWrites: boolean;
}

export interface RuntimeInfo {
  hostname?: string; // of the machine the server runs on
  degraded?: Degraded[]; // an old server may lack it
}

export async function runtimeInfo(): Promise<RuntimeInfo> {
  return get<RuntimeInfo>('api/v1/status/runtimeinfo');
}

export async function version(): Promise<string> {
  // `version` is the Prometheus release that the API follows.
  const info = await get<{ version?: string; petrel_version?: string }>('api/v1/status/buildinfo');
  return info.petrel_version ?? info.version ?? '';
}

export interface ReportLine {
  name?: string; // of all but targets
  job?: string;
  instance?: string;
  count: number;
  before: number | null;
  change: number | null; // null: there is nothing to compare with
  atLeast: boolean;
}

export interface ChurnLine {
  name?: string;
  job?: string;
  instance?: string;
  created: number;
  gone: number;
  missed: number;
}

export interface CardinalityReport {
  time: string;
  since: string | null; // of what it is compared with
  series: number;
  seriesBefore: number | null;
  labelPairs: number;
  labelNames: number;
  chunks: number;
  metrics: ReportLine[];
  labels: ReportLine[];
  pairs: ReportLine[];
  targets: ReportLine[];
  churn: { since: string; created: number; gone: number; estimated: boolean; metrics: ChurnLine[]; targets: ChurnLine[] };
  fallback: { sampled: number; raw: number; metrics: Array<{ name: string; sampled: number; raw: number }> };
}

export async function cardinalityReport(limit: number): Promise<CardinalityReport> {
  return get<CardinalityReport>('api/v1/cardinality/report', { limit: String(limit) });
}

export interface TsdbStatus {
  headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number };
  memoryInBytesByLabelName: Array<{ name: string; value: number }>;
}

export async function tsdbStatus(limit: number): Promise<TsdbStatus> {
  return get<TsdbStatus>('api/v1/status/tsdb', { limit: String(limit) });
}
