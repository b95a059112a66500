import type { FeedChange, FeedStatus } from "@tidewire/client";
import { createEffect, createSignal, on, onCleanup } from "solid-js";
import type { PanelConfig } from "../api.ts";
import type { Board } from "../board.ts";
import { inFrame, notInFrame } from "../frame.ts";
import { Rhythm } from "./rhythm.ts";
import { Rows } from "./rows.ts";

/** What a panel's frame needs to know of its feed. */
export interface FeedSignals {
  readonly status: () => FeedStatus;
  /** How many rows there are; `undefined` before the first snapshot. */
  readonly size: () => number | undefined;
  /** The rows as they are now, also while the picture waits. */
  readonly rows: () => Rows | undefined;
  /** When the rows last changed, in milliseconds since 1970. */
  readonly lastData: () => number | undefined;
  /** Milliseconds without a change after which the feed is slow, as far as its rhythm tells. */
  readonly patience: () => number | undefined;
  /** Draws seldom while this element is out of sight. */
  readonly watch: (element: Element) => void;
}

/** Who asks that things move little sees the picture change at most this often, in milliseconds. */
const CALM = 1000;

/** What is out of sight is still read aloud, and scrolled to: it changes this seldom, in milliseconds. */
const UNSEEN = 5000;

/**
 * Follows a feed for a panel. `take` is given every change in order; `draw` is then called
 * once, in the same frame. While the view is paused neither is called: the client's table
 * goes on, and is read anew afterwards.
 */
export function useFeed(
  board: Board,
  panel: PanelConfig,
  take: (rows: Rows, change: FeedChange) => void,
  draw: () => void,
): FeedSignals {
  const { live, view, name: dashboard } = board;
  const [status, setStatus] = createSignal<FeedStatus>({ kind: "loading" });
  const [size, setSize] = createSignal<number>();
  const rhythm = new Rhythm();
  const drawing = whenSeen(draw);
  let rows: Rows | undefined;
  let table: unknown;
  let shown = false;
  /** Whether it has changed since the page has it: before, only the server knows how old it is. */
  let heard = false;
  let missed = false;

  function show(change: FeedChange): void {
    if (rows === undefined) return;
    take(rows, rows.filter(change));
    shown = true;
    setSize(rows.size);
    drawing.ask();
  }

  const subscription = live.client.subscribe(
    panel.feed,
    (feed, change) => {
      setStatus(feed.status);
      if (feed.table === undefined) return;
      if (feed.table !== table) {
        // A snapshot is no change: what a feed holds says nothing of its rhythm.
        table = feed.table;
        rows = new Rows(feed.table, panel.only);
        heard = false;
        for (const at of newestTimes(rows)) rhythm.note(at);
      } else if (feed.lastData !== undefined && (change.replaced || change.rows.length > 0)) {
        rhythm.note(feed.lastData);
        heard = true;
      }
      if (view.pausedAt() !== undefined && shown) missed = true;
      else show(change);
    },
    { dashboard },
  );
  const goOn = () => {
    if (missed) show({ replaced: true, rows: [] });
    missed = false;
  };
  createEffect(on(view.pausedAt, (pausedAt) => pausedAt === undefined && goOn(), { defer: true }));
  createEffect(on([view.range, view.address], () => shown && drawing.ask(), { defer: true }));
  onCleanup(() => subscription.close());

  return {
    status,
    size,
    rows: () => rows,
    // Read from the feed itself: after a tab was hidden the clock may tick before the frame comes.
    lastData: () => {
      if (size() === undefined) return undefined;
      const before = board.known(panel.feed)?.changedAt;
      return heard ? Math.max(subscription.feed.lastData ?? 0, before ?? 0) : (before ?? subscription.feed.lastData);
    },
    patience: () => (board.known(panel.feed)?.ended ? undefined : (panel.expect ?? rhythm.patience)),
    watch: drawing.watch,
  };
}

/** The newest times in a feed's key: how far windows are apart tells how often they change. */
function newestTimes(rows: Rows): number[] {
  const column = rows.columns.findIndex(({ name, type }) => type === "timestamp" && rows.key.includes(name));
  if (column < 0) return [];
  const times = new Set<number>();
  for (const row of rows) times.add(Number(row[column]));
  return [...times].sort((a, b) => a - b).slice(-10);
}

/** Draws in frames; rarely while nobody sees it, and calmly for who asks for that. */
function whenSeen(draw: () => void): { ask: () => void; watch: (element: Element) => void } {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let seen = true;
  let drawnAt = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const now = () => {
    clearTimeout(timer);
    timer = undefined;
    drawnAt = Date.now();
    inFrame(draw);
  };
  const ask = () => {
    if (timer !== undefined) return;
    const wait = drawnAt + (seen ? (calm.matches ? CALM : 0) : UNSEEN) - Date.now();
    if (wait <= 0) now();
    else timer = setTimeout(now, wait);
  };
  const observer = new IntersectionObserver((entries) => {
    seen = entries.at(-1)?.isIntersecting ?? true;
    if (seen && timer !== undefined) now();
  });
  onCleanup(() => {
    observer.disconnect();
    clearTimeout(timer);
    notInFrame(draw);
  });
  return { ask, watch: (element) => observer.observe(element) };
}
