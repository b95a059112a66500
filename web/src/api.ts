/** The HTTP part of the server that the page reads. */

/** A dashboard as the list names it. */
export interface DashboardName {
  readonly name: string;
  readonly title: string;
}

/** A panel as its configuration says. */
export interface PanelConfig {
  readonly title: string;
  readonly feed: string;
  readonly type: string;
  /** The column along the x axis of a line panel. */
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
}

/** A dashboard and its panels. */
export interface DashboardConfig extends DashboardName {
  readonly panels: readonly PanelConfig[];
}

/** A stream, as the page speaks of it. */
export interface StreamInfo {
  readonly name: string;
  /** Whether clients may send events. */
  readonly writable: boolean;
  readonly columns: readonly StreamColumn[];
}

/** A column of a stream. */
export interface StreamColumn {
  /** The field's name in an event. */
  readonly from: string;
  readonly type: string;
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
export async function listDashboards(): Promise<readonly DashboardName[]> {
  return (await read<{ dashboards: readonly DashboardName[] }>("/v1/dashboards")).dashboards;
}

/** One dashboard. */
export const readDashboard = (name: string): Promise<DashboardConfig> =>
  read(`/v1/dashboards/${encodeURIComponent(name)}`);

/** The stream that a feed reads. */
export async function readStreamOf(feed: string): Promise<StreamInfo | undefined> {
  const [{ feeds }, { streams }] = await Promise.all([
    read<{ feeds: readonly { name: string; stream: string }[] }>("/v1/feeds"),
    read<{ streams: readonly StreamInfo[] }>("/v1/streams"),
  ]);
  const name = feeds.find((one) => one.name === feed)?.stream;
  return streams.find((stream) => stream.name === name);
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
