import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Client, type ClientOptions } from "../src/client.ts";
import type { ConnectionState } from "../src/connection.ts";
import type { Feed, FeedChange } from "../src/feed.ts";
import { FakeSocket } from "./fake-socket.ts";

const COLUMNS = [
  { name: "metric", type: "text" },
  { name: "at", type: "timestamp" },
  { name: "value", type: "double" },
];

const subscribed = (ref: unknown, view = "load") => ({
  type: "subscribed",
  ref,
  view,
  key: ["metric", "at"],
  columns: COLUMNS,
});

const snapshot = (cursor: string, rows: unknown[][], more: object = {}) => ({
  type: "snapshot",
  view: "load",
  cursor,
  reset: false,
  data: COLUMNS.map((_, column) => rows.map((row) => row[column])),
  ...more,
});

const delta = (from: string, cursor: string, upsert: unknown[][], del: unknown[][] = []) => ({
  type: "delta",
  view: "load",
  from,
  cursor,
  upsert,
  delete: del,
});

const rows = (feed: Feed) => [...(feed.table?.rows() ?? [])];

let flushes: (() => void)[] = [];

/** Runs what the client has scheduled, as a page's frame would. */
function flush(): void {
  const due = flushes;
  flushes = [];
  for (const run of due) run();
}

function client(options: Partial<ClientOptions> = {}): Client {
  return new Client({
    url: "ws://server/v1/ws",
    WebSocket: FakeSocket,
    schedule: (run) => flushes.push(run),
    backoff: { random: () => 0.5 },
    ...options,
  });
}

/** A client with one feed that is live at `cursor` with one row. */
function live(cursor = "1-a-7", options: Partial<ClientOptions> = {}) {
  const it = client(options);
  const seen: FeedChange[] = [];
  const subscription = it.subscribe("load", (_, change) => seen.push(change), { dashboard: "ops" });
  it.connect();
  FakeSocket.last.open();
  FakeSocket.last.say(subscribed(FakeSocket.last.sent[0]?.ref));
  FakeSocket.last.say(snapshot(cursor, [["cpu", 1000, 1.5]]));
  flush();
  seen.length = 0;
  return { client: it, feed: subscription.feed, subscription, seen };
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  FakeSocket.reset();
  flushes = [];
});

afterEach(() => {
  vi.useRealTimers();
});

describe("a subscription", () => {
  it("asks in the protocol's words and takes the snapshot", () => {
    const { feed } = live();
    expect(FakeSocket.last.url).toBe("ws://server/v1/ws");
    expect(FakeSocket.last.protocols).toEqual(["tidewire.v1.json"]);
    expect(FakeSocket.last.sent).toEqual([{ op: "subscribe", ref: 1, feed: "load", dashboard: "ops" }]);
    expect(feed.status).toEqual({ kind: "live" });
    expect(feed.cursor).toBe("1-a-7");
    expect(rows(feed)).toEqual([["cpu", 1000, 1.5]]);
  });

  it("is shared by all who want the feed, and ends with the last of them", () => {
    const { client: it, subscription } = live();
    const other = vi.fn();
    const second = it.subscribe("load", other);
    flush();
    expect(other).toHaveBeenCalledExactlyOnceWith(subscription.feed, { replaced: true, rows: [] });
    subscription.close();
    expect(FakeSocket.last.sent).toHaveLength(1);
    second.close();
    second.close();
    expect(FakeSocket.last.sent.slice(1)).toEqual([{ op: "unsubscribe", ref: 1 }]);
    FakeSocket.last.say(delta("1-a-7", "1-a-8", [["cpu", 2000, 2]]));
    expect(rows(subscription.feed)).toEqual([["cpu", 1000, 1.5]]);
  });

  it("that is refused says why, is asked again after a reconnect, and leaves the others alone", () => {
    const { client: it, feed } = live();
    const unknown = it.subscribe("nope", () => {});
    FakeSocket.last.say({ type: "error", ref: 2, code: "unknown_feed", message: "there is no feed `nope`" });
    expect(unknown.feed.status).toEqual({ kind: "error", code: "unknown_feed", message: "there is no feed `nope`" });
    expect(feed.status.kind).toBe("live");
    FakeSocket.last.drop();
    vi.advanceTimersByTime(250);
    FakeSocket.last.open();
    expect(FakeSocket.last.sent.map((message) => message.feed)).toEqual(["load", "nope"]);
  });
});

describe("a snapshot in pieces", () => {
  it("takes the table's place only with its last piece", () => {
    const { feed, seen } = live();
    FakeSocket.last.say(snapshot("", [["mem", 1000, 1]], { more: true, cursor: undefined }));
    FakeSocket.last.say(snapshot("", [["mem", 2000, 2]], { more: true, cursor: undefined }));
    flush();
    expect(rows(feed)).toEqual([["cpu", 1000, 1.5]]);
    expect(feed.cursor).toBe("1-a-7");
    expect(seen).toEqual([]);
    FakeSocket.last.say(snapshot("1-a-9", [["mem", 3000, 3]]));
    flush();
    expect(rows(feed)).toEqual([
      ["mem", 1000, 1],
      ["mem", 2000, 2],
      ["mem", 3000, 3],
    ]);
    expect(feed.cursor).toBe("1-a-9");
    expect(seen).toEqual([{ replaced: true, rows: [] }]);
  });

  it("that is cut off by a loss is forgotten, and the old cursor is given back", () => {
    const { feed } = live();
    FakeSocket.last.say(snapshot("", [["mem", 1000, 1]], { more: true, cursor: undefined }));
    FakeSocket.last.drop();
    vi.advanceTimersByTime(250);
    FakeSocket.last.open();
    expect(FakeSocket.last.sent[0]).toMatchObject({ since: "1-a-7" });
    FakeSocket.last.say(subscribed(2));
    FakeSocket.last.say(snapshot("1-a-9", [["disk", 1000, 1]], { reset: true }));
    expect(rows(feed)).toEqual([["disk", 1000, 1]]);
  });
});

describe("a delta", () => {
  it("writes and removes rows, and tells of each change", () => {
    const { feed, seen } = live();
    FakeSocket.last.say(
      delta("1-a-7", "1-a-8", [
        ["cpu", 1000, 2],
        ["cpu", 2000, 3],
      ]),
    );
    FakeSocket.last.say(delta("1-a-8", "1-a-9", [], [["cpu", 1000]]));
    expect(rows(feed)).toEqual([["cpu", 2000, 3]]);
    expect(feed.cursor).toBe("1-a-9");
    expect(seen).toEqual([]);
    flush();
    expect(seen).toEqual([
      {
        replaced: false,
        rows: [
          { before: ["cpu", 1000, 1.5], after: ["cpu", 1000, 2] },
          { before: undefined, after: ["cpu", 2000, 3] },
          { before: ["cpu", 1000, 2], after: undefined },
        ],
      },
    ]);
  });

  it("may begin before the cursor, and delete what is not there", () => {
    const { feed } = live();
    FakeSocket.last.say(delta("1-a-2", "1-a-9", [["cpu", 1000, 9]], [["gone", 5]]));
    expect(rows(feed)).toEqual([["cpu", 1000, 9]]);
    expect(feed.cursor).toBe("1-a-9");
  });

  it("of the past is left out: it would take rows back", () => {
    const { feed } = live("1-a-10");
    FakeSocket.last.say(delta("1-a-2", "1-a-9", [["cpu", 1000, 0]]));
    expect(rows(feed)).toEqual([["cpu", 1000, 1.5]]);
    expect(feed.cursor).toBe("1-a-10");
  });

  it("that is empty moves the cursor without counting as data", () => {
    const { feed } = live();
    const before = feed.lastData;
    vi.advanceTimersByTime(25_000);
    FakeSocket.last.say({ type: "delta", view: "load", from: "1-a-7", cursor: "1-a-30" });
    expect(feed.cursor).toBe("1-a-30");
    expect(feed.lastData).toBe(before);
  });

  it.each(["1-a-8", "2-a-3", "1-b-7"])("that begins at %s leaves a hole, so the feed is asked for anew", (from) => {
    const { feed } = live();
    FakeSocket.last.say(delta(from, "1-a-12", [["cpu", 9000, 9]]));
    expect(rows(feed)).toEqual([["cpu", 1000, 1.5]]);
    expect(FakeSocket.last.sent.slice(1)).toEqual([
      { op: "unsubscribe", ref: 1 },
      { op: "subscribe", ref: 2, feed: "load", since: "1-a-7", dashboard: "ops" },
    ]);
    // What the old subscription still sends must not be taken for the new one's.
    FakeSocket.last.say(delta("1-a-12", "1-a-13", [["cpu", 9000, 9]]));
    FakeSocket.last.say(subscribed(2));
    FakeSocket.last.say(delta("1-a-7", "1-a-13", [["cpu", 9000, 10]]));
    expect(rows(feed)).toEqual([
      ["cpu", 1000, 1.5],
      ["cpu", 9000, 10],
    ]);
  });
});

describe("a lost connection", () => {
  it("is opened again after a wait that grows, and each feed goes on from its cursor", () => {
    const states: ConnectionState[] = [];
    const { client: it, feed } = live();
    it.onState((state) => states.push(state));
    FakeSocket.last.say(delta("1-a-7", "1-a-8", [["cpu", 2000, 2]]));
    FakeSocket.last.drop();
    expect(states).toEqual([{ kind: "waiting", retryAt: 1_000_250, lostAt: 1_000_000 }]);
    vi.advanceTimersByTime(249);
    expect(FakeSocket.all).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(FakeSocket.all).toHaveLength(2);
    FakeSocket.last.drop();
    vi.advanceTimersByTime(500);
    expect(FakeSocket.all).toHaveLength(3);
    FakeSocket.last.drop();
    vi.advanceTimersByTime(999);
    expect(FakeSocket.all).toHaveLength(3);
    vi.advanceTimersByTime(1);
    FakeSocket.last.open();
    expect(FakeSocket.last.sent).toEqual([{ op: "subscribe", ref: 2, feed: "load", since: "1-a-8", dashboard: "ops" }]);
    expect(feed.status.kind).toBe("live");
    FakeSocket.last.say(subscribed(2));
    FakeSocket.last.say(delta("1-a-8", "1-a-12", [["cpu", 3000, 3]]));
    expect(rows(feed)).toHaveLength(3);
    // It has proved good, so the next wait is short again.
    FakeSocket.last.drop();
    expect(states.at(-1)).toMatchObject({ kind: "waiting", retryAt: Date.now() + 250 });
  });

  it("waits at most the limit, and no less than a moment", () => {
    const it = client({ backoff: { random: () => 0.999, max: 2000 } });
    it.connect();
    for (let attempt = 0; attempt < 6; attempt++) {
      FakeSocket.last.drop();
      vi.advanceTimersByTime(2000);
    }
    FakeSocket.last.drop();
    expect(it.state).toMatchObject({ retryAt: Date.now() + 0.999 * 2000 });
    const eager = client({ backoff: { random: () => 0 } });
    eager.connect();
    FakeSocket.last.drop();
    expect(eager.state).toMatchObject({ retryAt: Date.now() + 100 });
  });

  it("comes back when the server said, or at once when asked to", () => {
    const { client: it } = live();
    FakeSocket.last.say({ type: "closing", code: "shutdown", message: "restarting", retry_after_ms: 1200 });
    FakeSocket.last.drop();
    expect(it.state).toMatchObject({ kind: "waiting", retryAt: Date.now() + 1200 });
    it.connect();
    expect(it.state.kind).toBe("connecting");
    expect(FakeSocket.all).toHaveLength(2);
    vi.advanceTimersByTime(1200);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("is noticed by 60 s of silence, but not where nothing was asked for", () => {
    const { client: it } = live();
    vi.advanceTimersByTime(40_000);
    FakeSocket.last.say(delta("1-a-7", "1-a-8", []));
    vi.advanceTimersByTime(59_999);
    expect(it.state.kind).toBe("open");
    vi.advanceTimersByTime(1);
    expect(it.state.kind).toBe("waiting");
    expect(FakeSocket.all[0]?.closedByClient).toBe(true);
    it.close();

    const quiet = client();
    quiet.connect();
    FakeSocket.last.open();
    vi.advanceTimersByTime(600_000);
    expect(quiet.state.kind).toBe("open");
  });

  it("is noticed where a handshake is never answered", () => {
    const it = client();
    it.connect();
    vi.advanceTimersByTime(10_000);
    expect(it.state.kind).toBe("waiting");
  });

  it("ends with `close`, whatever the old socket still says", () => {
    const { client: it, feed } = live();
    const old = FakeSocket.last;
    it.close();
    old.say(delta("1-a-7", "1-a-8", [["cpu", 2000, 2]]));
    old.drop();
    vi.advanceTimersByTime(60_000);
    expect(it.state.kind).toBe("closed");
    expect(FakeSocket.all).toHaveLength(1);
    expect(rows(feed)).toHaveLength(1);
  });
});

describe("a frame that breaks the protocol", () => {
  it.each([
    ["no JSON", "{"],
    ["no object", "7"],
    ["a delta without its start", { type: "delta", view: "load", cursor: "1-a-8" }],
    ["a last piece without a cursor", { type: "snapshot", view: "load", data: [[], [], []] }],
    ["columns of unequal length", snapshot("1-a-8", [], { data: [["a"], [1], []] })],
    ["a column too few", snapshot("1-a-8", [], { data: [["a"], [1]] })],
  ])("(%s) gives the socket up and keeps the table", (_, frame) => {
    const { client: it, feed } = live();
    FakeSocket.last.say(frame);
    expect(it.state.kind).toBe("waiting");
    expect(rows(feed)).toEqual([["cpu", 1000, 1.5]]);
    expect(feed.cursor).toBe("1-a-7");
  });

  it("is not one that this version does not know", () => {
    const { client: it } = live();
    FakeSocket.last.say({ type: "notice", text: "…" });
    expect(it.state.kind).toBe("open");
  });

  it("by us, a malformed cursor, is mended by asking without it", () => {
    const { feed } = live();
    FakeSocket.last.drop();
    vi.advanceTimersByTime(250);
    FakeSocket.last.open();
    FakeSocket.last.say({ type: "error", ref: 2, code: "malformed_cursor", message: "no cursor" });
    expect(FakeSocket.last.sent[1]).toEqual({ op: "subscribe", ref: 3, feed: "load", dashboard: "ops" });
    FakeSocket.last.say({ type: "error", ref: 3, code: "malformed_cursor", message: "no cursor" });
    expect(FakeSocket.last.sent).toHaveLength(2);
    expect(feed.status).toMatchObject({ kind: "error", code: "malformed_cursor" });
  });
});

describe("listeners", () => {
  it("are called once for all that arrived before the flush", () => {
    const { client: it, seen } = live();
    for (let tick = 8; tick < 30; tick++) {
      FakeSocket.last.say(delta(`1-a-${tick - 1}`, `1-a-${tick}`, [["cpu", tick, tick]]));
    }
    expect(flushes).toHaveLength(1);
    flush();
    expect(seen).toHaveLength(1);
    expect(seen[0]?.rows).toHaveLength(22);
    expect(it.changesArrived).toBe(22);
  });

  it("that are not called for long are told to read anew, instead of a list without end", () => {
    const { seen } = live();
    for (let tick = 8; tick < 2000; tick++) {
      FakeSocket.last.say(delta(`1-a-${tick - 1}`, `1-a-${tick}`, [["cpu", 1000, tick]]));
    }
    flush();
    expect(seen).toEqual([{ replaced: true, rows: [] }]);
  });
});

describe("a ping", () => {
  it("is answered with the time that it took", async () => {
    const { client: it } = live();
    const way = it.ping();
    const asked = FakeSocket.last.sent.at(-1);
    expect(asked).toEqual({ op: "ping", ref: 2 });
    vi.advanceTimersByTime(40);
    FakeSocket.last.say({ type: "pong", ref: asked?.ref });
    expect(await way).toBe(40);
  });

  it("is answered with nothing where the server knows none, or is not there", async () => {
    const { client: it } = live();
    const refused = it.ping();
    FakeSocket.last.say({ type: "error", ref: 2, code: "bad_message", message: "unknown op" });
    expect(await refused).toBeUndefined();
    expect(it.lastRefusal).toBeUndefined();
    const lost = it.ping();
    FakeSocket.last.drop();
    expect(await lost).toBeUndefined();
    expect(await it.ping()).toBeUndefined();
  });
});

describe("a limit of the rate", () => {
  it("is asked for from the cursor, and lifted again", () => {
    const { client: it, feed } = live();
    it.limitRate(0.2);
    expect(FakeSocket.last.sent.slice(1)).toEqual([
      { op: "unsubscribe", ref: 1 },
      { op: "subscribe", ref: 2, feed: "load", since: "1-a-7", dashboard: "ops", max_rate: 0.2 },
    ]);
    // What was still on its way comes again.
    FakeSocket.last.say(delta("1-a-7", "1-a-8", [["cpu", 2000, 2]]));
    expect(feed.cursor).toBe("1-a-7");
    FakeSocket.last.say(subscribed(2));
    FakeSocket.last.say(delta("1-a-7", "1-a-9", [["cpu", 2000, 3]]));
    expect(rows(feed)).toEqual([
      ["cpu", 1000, 1.5],
      ["cpu", 2000, 3],
    ]);
    it.limitRate(0.2);
    expect(FakeSocket.last.sent).toHaveLength(3);
    it.limitRate(undefined);
    expect(FakeSocket.last.sent.at(-1)).toEqual({
      op: "subscribe",
      ref: 3,
      feed: "load",
      since: "1-a-9",
      dashboard: "ops",
    });
  });
});
