import { createEffect, createSignal, For, type JSX, Match, onCleanup, Show, Switch } from "solid-js";
import {
  type DashboardName,
  type FeedInfo,
  listDashboards,
  listFeeds,
  listStreams,
  Problem,
  type StreamInfo,
} from "./api.ts";
import { writeSpan, writeTime } from "./format.ts";
import { Header } from "./Header.tsx";
import { followKeys } from "./keys.ts";
import { nextTheme } from "./theme.ts";

const EXAMPLE = `dashboards:
  ops:
    title: Operations
    panels:
      - { title: Load, feed: load_10s, type: line,
          x: window_start, y: value, series: metric, unit: "%" }`;

/** How often the server is asked, in milliseconds. */
const EVERY = 3000;

/** What the server said last, and what can be told only by comparing it with what it said before. */
interface Overview {
  readonly at: number;
  readonly dashboards: readonly DashboardName[];
  readonly feeds: readonly (FeedInfo & { readonly changedAt: number | undefined })[];
  readonly streams: readonly (StreamInfo & { readonly perSecond: number | undefined })[];
}

/** `/`: the dashboards, feeds and streams of this server, and how they stand. */
export function IndexPage() {
  const [overview, setOverview] = createSignal<Overview>();
  const [failure, setFailure] = createSignal<string>();
  followKeys([{ key: "t", does: "changes the theme", run: nextTheme }]);

  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  async function ask(): Promise<void> {
    // Nobody looks.
    if (document.hidden) {
      timer = setTimeout(() => void ask(), EVERY);
      return;
    }
    try {
      const [dashboards, feeds, streams] = await Promise.all([listDashboards(), listFeeds(), listStreams()]);
      setOverview((before) => compare(before, Date.now(), dashboards, feeds, streams));
      setFailure(undefined);
    } catch (error) {
      setFailure(error instanceof Problem ? error.message : "The server does not answer. Is it running?");
    }
    if (!stopped) timer = setTimeout(() => void ask(), EVERY);
  }
  void ask();
  onCleanup(() => {
    stopped = true;
    clearTimeout(timer);
  });

  return (
    <>
      <Header dashboards={[]}>
        <div class="headline" data-tone={failure() === undefined ? "ok" : "bad"}>
          <Show when={overview() !== undefined || failure() !== undefined}>
            <i />
            <b role="status">{failure() === undefined ? "Running" : "No answer"}</b>
            <span>
              {failure() !== undefined && overview() ? `since ${writeTime(overview()?.at ?? 0, Date.now())}` : ""}
            </span>
          </Show>
        </div>
      </Header>
      <main class="index">
        <Show when={failure() !== undefined && overview() === undefined}>
          <div role="alert">
            <h1>The dashboards could not be read</h1>
            <p>{failure()}</p>
            <p>
              <a href="/">Try again</a>
            </p>
          </div>
        </Show>
        <Show when={overview()}>
          {(it) => (
            <>
              <Dashboards dashboards={it().dashboards} />
              <Feeds feeds={it().feeds} now={it().at} />
              <Streams streams={it().streams} now={it().at} />
            </>
          )}
        </Show>
      </main>
    </>
  );
}

function compare(
  before: Overview | undefined,
  at: number,
  dashboards: readonly DashboardName[],
  feeds: readonly FeedInfo[],
  streams: readonly StreamInfo[],
): Overview {
  const seconds = before === undefined ? 0 : (at - before.at) / 1000;
  return {
    at,
    dashboards,
    feeds: feeds.map((feed) => {
      const old = before?.feeds.find(({ name }) => name === feed.name);
      const changed = old !== undefined && old.offset !== feed.offset;
      return { ...feed, changedAt: changed ? at : old?.changedAt };
    }),
    streams: streams.map((stream) => {
      const old = before?.streams.find(({ name }) => name === stream.name);
      // Fewer than before: the server began anew.
      const known = old !== undefined && seconds > 0 && stream.accepted >= old.accepted;
      return { ...stream, perSecond: known ? (stream.accepted - old.accepted) / seconds : undefined };
    }),
  };
}

function Dashboards(props: { dashboards: readonly DashboardName[] }) {
  return (
    <Switch>
      <Match when={props.dashboards.length === 0}>
        <h1>No dashboards yet</h1>
        <p>A dashboard shows feeds as panels. Add one to the configuration and start the server again:</p>
        <pre tabindex="0">
          <code>{EXAMPLE}</code>
        </pre>
        <p>
          To see one with nothing to set up, run <code>tidewire demo</code>.
        </p>
      </Match>
      <Match when={true}>
        <h1>Dashboards</h1>
        <ul class="cards">
          <For each={props.dashboards}>
            {(dashboard) => (
              <li>
                <a href={`/dashboard/${encodeURIComponent(dashboard.name)}`}>
                  <bdi>{dashboard.title}</bdi>
                  <small>{dashboard.name === dashboard.title ? "" : dashboard.name}</small>
                </a>
              </li>
            )}
          </For>
        </ul>
      </Match>
    </Switch>
  );
}

type Tone = "ok" | "warn" | "bad" | "idle";

function Feeds(props: { feeds: readonly (FeedInfo & { changedAt: number | undefined })[]; now: number }) {
  return (
    <List title="Feeds" heads={["Feed", "Stream", "Rows", "Last change", "State"]} numbers={[2]}>
      <For each={props.feeds}>
        {(feed) => (
          <tr>
            <th scope="row">{feed.name}</th>
            <td>{feed.stream}</td>
            <td class="number">{whole(feed.rows)}</td>
            <td>
              {feed.changedAt === undefined
                ? "–"
                : props.now - feed.changedAt < 2 * EVERY
                  ? "now"
                  : `${writeSpan(props.now - feed.changedAt)} ago`}
            </td>
            <td>
              <State {...feedState(feed)} />
            </td>
          </tr>
        )}
      </For>
    </List>
  );
}

function feedState(feed: FeedInfo): { tone: Tone; word: string; why?: string } {
  if (feed.failure !== null) return { tone: "bad", word: "failed", why: feed.failure };
  if (feed.rebuilding !== null) return { tone: "warn", word: `rebuilding, ${Math.floor(feed.rebuilding * 100)} %` };
  return feed.rows === 0 ? { tone: "idle", word: "empty" } : { tone: "ok", word: "ok" };
}

function Streams(props: { streams: readonly (StreamInfo & { perSecond: number | undefined })[]; now: number }) {
  const most = () => Math.max(0, ...props.streams.map((stream) => stream.perSecond ?? 0));
  return (
    <List
      title="Streams"
      heads={["Stream", "Events/s", "Accepted", "Refused", "Watermark", "State"]}
      numbers={[1, 2, 3]}
    >
      <For each={props.streams}>
        {(stream) => (
          <tr>
            <th scope="row">{stream.name}</th>
            <td class="number">
              <i
                class="bar"
                aria-hidden="true"
                ref={(bar) => follow(bar, () => (stream.perSecond ?? 0) / (most() || 1))}
              />
              <span>{stream.perSecond === undefined ? "–" : whole(Math.round(stream.perSecond))}</span>
            </td>
            <td class="number">{whole(stream.accepted)}</td>
            <td class="number" data-level={stream.dead_letters > 0 ? "warn" : "ok"}>
              {whole(stream.dead_letters)}
            </td>
            <td>{stream.watermark === null ? "–" : writeTime(stream.watermark, props.now)}</td>
            <td>
              <State {...streamState(stream)} />
            </td>
          </tr>
        )}
      </For>
    </List>
  );
}

function streamState(stream: StreamInfo): { tone: Tone; word: string; why?: string } {
  if (stream.failure !== null) return { tone: "bad", word: "cannot be read", why: stream.failure };
  if (stream.ended) return { tone: "idle", word: "read to its end" };
  return stream.accepted === 0 ? { tone: "idle", word: "no events yet" } : { tone: "ok", word: "ok" };
}

function List(props: { title: string; heads: readonly string[]; numbers: readonly number[]; children: JSX.Element }) {
  return (
    <div class="list">
      <h2>{props.title}</h2>
      <section class="scroll" tabindex="0" aria-label={`Table of ${props.title.toLowerCase()}`}>
        <table>
          <thead>
            <tr>
              <For each={props.heads}>
                {(head, at) => (
                  <th scope="col" class={props.numbers.includes(at()) ? "number" : undefined}>
                    {head}
                  </th>
                )}
              </For>
            </tr>
          </thead>
          <tbody>{props.children}</tbody>
        </table>
      </section>
    </div>
  );
}

function State(props: { tone: Tone; word: string; why?: string }) {
  return (
    <span class="state" data-tone={props.tone}>
      <i />
      <span>
        {props.word}
        <Show when={props.why}>
          <small>{props.why}</small>
        </Show>
      </span>
    </span>
  );
}

const whole = (value: number): string => value.toLocaleString("en");

function follow(bar: HTMLElement, share: () => number): void {
  createEffect(() => bar.style.setProperty("--share", String(share())));
}
