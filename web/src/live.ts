import { Client, type ConnectionState } from "@tidewire/client";
import { createSignal, onCleanup } from "solid-js";
import { inFrame } from "./frame.ts";

/** What is live on the page: the client, how its connection stands, the time, and the rate. */
export interface Live {
  readonly client: Client;
  readonly connection: () => ConnectionState;
  /** Milliseconds since 1970, once a second. */
  readonly now: () => number;
  /** Changes of rows a second. */
  readonly rate: () => number;
}

/** Opens the page's one socket. It lives as long as its owner. */
export function createLive(): Live {
  const url = new URL("/v1/ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const client = new Client({ url: url.href, schedule: inFrame });
  const [connection, setConnection] = createSignal<ConnectionState>(client.state);
  const [now, setNow] = createSignal(Date.now());
  const [rate, setRate] = createSignal(0);

  const second = everySecond(() => {
    setNow(Date.now());
    setRate(arrivedSince());
  });
  const stop = client.onState((state) => {
    // A countdown reads the clock and the state together.
    setNow(Date.now());
    setConnection(state);
  });
  const online = () => client.connect();
  addEventListener("online", online);
  onCleanup(() => {
    second();
    stop();
    removeEventListener("online", online);
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
  return { client, connection, now, rate };
}

function everySecond(tick: () => void): () => void {
  const timer = setInterval(tick, 1000);
  return () => clearInterval(timer);
}
