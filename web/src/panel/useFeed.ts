import type { Feed, FeedChange, FeedStatus } from "@tidewire/client";
import { createSignal, onCleanup } from "solid-js";
import { inFrame, notInFrame } from "../frame.ts";
import type { Live } from "../live.ts";

/** What a panel's frame needs to know of its feed. */
export interface FeedSignals {
  readonly status: () => FeedStatus;
  /** How many rows there are; `undefined` before the first snapshot. */
  readonly rows: () => number | undefined;
  /** When the rows last changed, in milliseconds since 1970. */
  readonly lastData: () => number | undefined;
}

/**
 * Follows a feed for a panel. `take` is given every change in order; `draw` is then called
 * once, in the same frame.
 */
export function useFeed(
  live: Live,
  dashboard: string,
  name: string,
  take: (feed: Feed, change: FeedChange) => void,
  draw: () => void,
): FeedSignals {
  const [status, setStatus] = createSignal<FeedStatus>({ kind: "loading" });
  const [rows, setRows] = createSignal<number>();
  const [lastData, setLastData] = createSignal<number>();
  const subscription = live.client.subscribe(
    name,
    (feed, change) => {
      setStatus(feed.status);
      setRows(feed.table?.size);
      setLastData(feed.lastData);
      if (feed.table === undefined) return;
      take(feed, change);
      inFrame(draw);
    },
    { dashboard },
  );
  onCleanup(() => {
    subscription.close();
    notInFrame(draw);
  });
  return { status, rows, lastData };
}
