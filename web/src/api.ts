/** The HTTP part of the server that the page reads. */

/** A dashboard as the list names it. */
export interface DashboardName {
  readonly name: string;
  readonly title: string;
}

/** How rows become one number. */
export type Combine = "last" | "sum" | "mean" | "min" | "max" | "count";

/** A panel as its configuration says. */
export interface PanelConfig {
  readonly title: string;
  readonly feed: string;
  /** `line`, `area`, `bar`, `stat`, `gauge`, `table`; a newer server may know more. */
  readonly type: string;
  /** The column along the x axis. */
  readonly x: string | null;
  /** The columns along its y axis. */
  readonly y: readonly string[];
  /** The column whose values make the lines. */
  readonly series: string | null;
  /** The columns of a table; empty means all. */
  readonly columns: readonly string[];
  readonly unit: string | null;
  /** Width in twelfths. */
  readonly span: number;
  /** Which rows are shown: those whose column, written as text, is one of these. */
  readonly only: Readonly<Record<string, readonly string[]>>;
  /** How a stat and a gauge make one number of many rows. */
  readonly combine: Combine;
  /** A stat shows its change against this long ago, in milliseconds. */
  readonly compare: number | null;
  /** The ends of the y axis or of a gauge. */
  readonly min: number | null;
  readonly max: number | null;
  /** Thresholds; if `bad` is below `warn`, low is bad. */
  readonly warn: number | null;
  readonly bad: number | null;
  /** After this long without a change the panel is slow, in milliseconds. */
  readonly expect: number | null;
  /** The column that orders a table or ranking; with `-` before it, greatest first. */
  readonly sort: string | null;
  /** How many rows of a table or ranking are shown at most. */
  readonly rows: number | null;
  /** Columns of a table that are drawn as bars, too. */
  readonly bars: readonly string[];
}

/** A dashboard and its panels. */
export interface DashboardConfig extends DashboardName {
  /** The range of time that is shown unless another is chosen, in milliseconds. */
  readonly range: number;
  readonly panels: readonly PanelConfig[];
}

/** A stream, as the page speaks of it. */
export interface StreamInfo {
  readonly name: string;
  /** Whether clients may send events. */
  readonly writable: boolean;
  readonly columns: readonly StreamColumn[];
  /** Events since the server's start. */
  readonly accepted: number;
  /** What the stream and its feeds refused since then. */
  readonly dead_letters: number;
  /** In milliseconds since 1970. */
  readonly watermark: number | null;
  /** Whether its source will yield nothing more. */
  readonly ended: boolean;
  /** Why its source cannot be read. */
  readonly failure: string | null;
}

/** A column of a stream. */
export interface StreamColumn {
  /** The field's name in an event. */
  readonly from: string;
  readonly type: string;
}

/** A feed and how it stands. */
export interface FeedInfo {
  readonly name: string;
  readonly stream: string;
  readonly sql: string;
  readonly rows: number;
  /** The tick of its last change. */
  readonly offset: number;
  /** Milliseconds since its last change; null if it never changed. An older server does not say. */
  readonly silent_ms?: number | null;
  /** How much of its past has been made anew, from 0 to 1, while that goes on. */
  readonly rebuilding: number | null;
  readonly failure: string | null;
}

/** The server answered, and said no: its problem document (RFC 9457). */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The dashboards of the server, in the order of its configuration. */
export const listDashboards = async (): Promise<readonly DashboardName[]> =>
  (await read<{ dashboards: readonly DashboardName[] }>("/v1/dashboards")).dashboards;

/** The feeds and how they stand. */
export const listFeeds = async (): Promise<readonly FeedInfo[]> =>
  (await read<{ feeds: readonly FeedInfo[] }>("/v1/feeds")).feeds;

/** The streams and how they stand. */
export const listStreams = async (): Promise<readonly StreamInfo[]> =>
  (await read<{ streams: readonly StreamInfo[] }>("/v1/streams")).streams;

/** What a panel is if its configuration says no more; an older server leaves keys out. */
const PANEL: PanelConfig = {
  title: "",
  feed: "",
  type: "table",
  x: null,
  y: [],
  series: null,
  columns: [],
  unit: null,
  span: 6,
  only: {},
  combine: "last",
  compare: null,
  min: null,
  max: null,
  warn: null,
  bad: null,
  expect: null,
  sort: null,
  rows: null,
  bars: [],
};

/** A panel with what its configuration leaves out. */
export const wholePanel = (panel: Partial<PanelConfig>): PanelConfig => ({ ...PANEL, ...panel });

const USUAL_RANGE = 15 * 60_000;

/** One dashboard. */
export async function readDashboard(name: string): Promise<DashboardConfig> {
  const found = await read<Partial<DashboardConfig>>(`/v1/dashboards/${encodeURIComponent(name)}`);
  const { title = name, range = USUAL_RANGE, panels = [] } = found;
  return { name, title, range, panels: panels.map(wholePanel) };
}

/** The stream that a feed reads. */
export async function readStreamOf(name: string): Promise<Sourced | undefined> {
  return (await listSourced()).get(name);
}

/** A feed with the stream that it reads. */
export interface Sourced {
  readonly feed: FeedInfo;
  readonly stream: StreamInfo | undefined;
}

/** All feeds by their names, each with its stream. */
export async function listSourced(): Promise<ReadonlyMap<string, Sourced>> {
  const [feeds, streams] = await Promise.all([listFeeds(), listStreams()]);
  return new Map(
    feeds.map((feed) => [feed.name, { feed, stream: streams.find((stream) => stream.name === feed.stream) }]),
  );
}

/**
 * @throws {Problem} where the server says no.
 * @throws {TypeError} where it does not answer.
 */
async function read<T>(path: string): Promise<T> {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  if (response.ok) return await response.json();
  const problem = await response.json().catch(() => ({}));
  throw new Problem(
    response.status,
    String(problem.code ?? ""),
    String(problem.detail ?? problem.title ?? `The server answered ${response.status}.`),
  );
}
