import { Client, type ConnectionState } from "@tidewire/client";
import { createSignal, onCleanup } from "solid-js";
import { inFrame } from "./frame.ts";

/** What is live on the page: the client, how its connection stands, the time, and the rate. */
export interface Live {
  readonly client: Client;
  readonly connection: () => ConnectionState;
  /** Since when there is a connection, in milliseconds since 1970. */
  readonly openedAt: () => number | undefined;
  /** Milliseconds since 1970, once a second. */
  readonly now: () => number;
  /** Changes of rows a second. */
  readonly rate: () => number;
  /** Milliseconds to the server and back, where it says. */
  readonly latency: () => number | undefined;
}

/** How often the way to the server is measured, in seconds. */
const PING_EVERY = 5;

/** A tab that was left for this long, in milliseconds, asks for so many frames a second of each feed. */
const HIDDEN_AFTER = 10_000;
const HIDDEN_RATE = 0.2;

/** Opens the page's one socket. It lives as long as its owner. */
export function createLive(): Live {
  const url = new URL("/v1/ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const client = new Client({ url: url.href, schedule: inFrame });
  const [connection, setConnection] = createSignal<ConnectionState>(client.state);
  const [openedAt, setOpenedAt] = createSignal<number>();
  const [now, setNow] = createSignal(Date.now());
  const [rate, setRate] = createSignal(0);
  const [latency, setLatency] = createSignal<number>();

  let seconds = 0;
  const second = everySecond(() => {
    setNow(Date.now());
    setRate(arrivedSince());
    seconds += 1;
    // A server that knows no ping says so once; asking on would fill its count of refusals.
    if (seconds % PING_EVERY === 0 && latency() !== undefined) void measure();
  });
  const measure = async () => setLatency(await client.ping());
  const stop = client.onState((state) => {
    // A countdown reads the clock and the state together.
    setNow(Date.now());
    setConnection(state);
    setOpenedAt(state.kind === "open" ? Date.now() : undefined);
    setLatency(undefined);
    // After the snapshots: their size is not the way's length.
    if (state.kind === "open") setTimeout(() => void measure(), 1000);
  });
  const online = () => client.connect();
  addEventListener("online", online);
  let leaving: ReturnType<typeof setTimeout> | undefined;
  const looked = () => {
    clearTimeout(leaving);
    if (document.hidden) leaving = setTimeout(() => client.limitRate(HIDDEN_RATE), HIDDEN_AFTER);
    else client.limitRate(undefined);
  };
  document.addEventListener("visibilitychange", looked);
  onCleanup(() => {
    second();
    stop();
    clearTimeout(leaving);
    removeEventListener("online", online);
    document.removeEventListener("visibilitychange", looked);
    client.close();
  });

  /** Changes a second since it was last called: a hidden tab's clock may tick once a minute. */
  let counted = 0;
  let countedAt = Date.now();
  function arrivedSince(): number {
    const at = Date.now();
    const perSecond = ((client.changesArrived - counted) * 1000) / Math.max(1, at - countedAt);
    counted = client.changesArrived;
    countedAt = at;
    return Math.round(perSecond);
  }

  client.connect();
  return { client, connection, openedAt, now, rate, latency };
}

function everySecond(tick: () => void): () => void {
  const timer = setInterval(tick, 1000);
  return () => clearInterval(timer);
}
