#!/usr/bin/env node
import { readFile } from "node:fs/promises";
// A stand-in for the server, for work on the page alone: it speaks the part of the protocol
// that the page uses. Its rows are a function of the time, so a restart loses nothing.
//
//     node tests/fake-server.mjs demo --listen 127.0.0.1:8080 [--window 10]
//
// `--window` is the length of a window in seconds, 1 unless said. Other options are ignored.
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";

const { values: options } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: {
    listen: { type: "string", default: "127.0.0.1:8080" },
    window: { type: "string", default: "1" },
  },
});
const [host, port] = options.listen.split(":");
const WINDOW = Number(options.window) * 1000;
const TICK = 250;
const KEPT = 90;
const STARTED = Date.now();
const DIST = fileURLToPath(new URL("../dist/", import.meta.url));

const text = (name) => ({ name, type: "text" });
const timestamp = (name) => ({ name, type: "timestamp" });
const double = (name) => ({ name, type: "double" });
const bigint = (name) => ({ name, type: "bigint" });

/** A calm curve of its own for each seed, between 0 and 1. */
const wave = (seed, at) => {
  const t = at / 1000 / 60;
  return (
    0.5 +
    0.22 * Math.sin(t * 1.1 + seed * 2.1) +
    0.13 * Math.sin(t * 3.7 + seed * 5) +
    0.09 * Math.sin(t * 17 + seed * 9)
  );
};

/** The windows that a feed holds at a time, oldest first. */
const windows = (now) => {
  const newest = Math.floor(now / WINDOW) * WINDOW;
  return Array.from({ length: KEPT }, (_, at) => newest - (KEPT - 1 - at) * WINDOW);
};

const windowed = (names, columns, row) => ({
  key: ["name", "window_start"],
  columns: [text("name"), timestamp("window_start"), ...columns],
  rows: (now) =>
    windows(now).flatMap((start) =>
      names.map((name, seed) => [name, start, ...row(seed, Math.min(now, start + WINDOW), start)]),
    ),
});

const SITES = ["Hamburg", "Lisbon", "Osaka", "Quito"];
const STREAMS = ["sensors", "page_views", "orders", "payments", "inventory", "gateway", "audit"];
const HOSTS = Array.from({ length: 13 }, (_, at) => `host-${at + 1}`);

/** A message that arrived at each of the last few moments. */
const messages = (now) => {
  const every = 1700;
  const newest = Math.floor(now / every);
  return Array.from({ length: 40 }, (_, back) => {
    const n = newest - back;
    const kind = n % 11 === 0 ? "alert" : n % 4 === 0 ? "warn" : "info";
    const said = { alert: "errors over the limit", warn: "slow answer of a sensor", info: `order ${n % 90_000}` }[kind];
    return [n * every, kind, SITES[n % 4], said];
  });
};

/** Words that run from right to left, wide ones, and a name of 500 characters. */
const NAMES = ["שלום עולם", "مرحبا بالعالم", "東京の負荷", "😀 smile", "a".repeat(500), "<b>bold</b>"];

const FEEDS = {
  load: windowed(SITES, [double("value")], (seed, at) => [18 + 15 * (3 - seed) + 22 * wave(seed, at)]),
  totals: {
    key: ["window_start"],
    columns: [timestamp("window_start"), bigint("events"), double("p99"), double("errors"), bigint("devices")],
    rows: (now) =>
      windows(now).map((start) => [
        start,
        Math.round(44_000 + 9_000 * wave(21, start)),
        9 + 6 * wave(22, start),
        0.22 + 0.3 * wave(23, start),
        Math.round(9_600 + 300 * wave(24, start)),
      ]),
  },
  orders: windowed(["north", "south", "west"], [bigint("n")], (seed, _at, start) => [
    Math.round((150 - 35 * seed) * (0.6 + 0.8 * wave(seed + 30, start))),
  ]),
  traffic: windowed(["all"], [bigint("sent"), bigint("received")], (_, at) => [
    Math.round(4e6 * wave(7, at)),
    Math.round(9e6 * wave(8, at)),
  ]),
  hosts: windowed(HOSTS, [double("value")], (seed, at) => [5 * seed + 40 * wave(seed + 3, at)]),
  streams: {
    key: ["stream"],
    columns: [text("stream"), bigint("events"), double("per_second"), timestamp("last_event")],
    rows: (now) =>
      STREAMS.map((stream, seed) => [
        stream,
        Math.floor(now / (40 * (seed + 1))) % 10_000_000,
        (18_000 / (seed + 1)) * wave(seed, now),
        Math.floor(now / 1000 / (seed + 1)) * 1000 * (seed + 1),
      ]),
  },
  messages: {
    key: ["at"],
    columns: [timestamp("at"), text("level"), text("site"), text("message")],
    rows: messages,
  },
  nothing: { key: ["name"], columns: [text("name"), double("value")], rows: () => [] },
  nulls: windowed(["a"], [double("value")], () => [null]),
  huge: windowed(["a", "b"], [double("value")], (seed, at) => [(seed === 0 ? 1e300 : -1e300) * wave(seed, at)]),
  names: windowed(NAMES, [double("value")], (seed, at) => [50 * wave(seed, at)]),
  many: {
    key: ["name"],
    columns: [text("name"), double("value"), timestamp("at")],
    // Made once: 100,000 rows are the point, not their changes.
    rows: () => MANY,
  },
};
const MANY = Array.from({ length: 100_000 }, (_, at) => [`row ${at}`, (at * 7919) % 100_003, STARTED - at * 1000]);

const panel = (title, feed, type, span, more = {}) => ({ title, feed, type, span, ...more });
const lines = { x: "window_start", y: ["value"], series: "name" };
const stat = (y, unit, more = {}) => ({ x: "window_start", y: [y], unit, compare: 60_000, ...more });
const MINUTES = 60_000;

const DASHBOARDS = [
  {
    name: "ops",
    title: "Operations",
    range: 15 * MINUTES,
    panels: [
      panel("Events", "totals", "stat", 3, stat("events", "/s")),
      panel("Latency p99", "totals", "stat", 3, stat("p99", "ms", { warn: 20, bad: 50 })),
      panel("Errors", "totals", "stat", 3, stat("errors", "%", { warn: 0.3, bad: 0.6 })),
      panel("Devices online", "totals", "stat", 3, stat("devices", null)),
      panel("Load by site", "load", "line", 8, { ...lines, unit: "%", min: 0, max: 100, warn: 90 }),
      panel("Busiest streams", "streams", "bar", 4, { x: "stream", y: ["per_second"], unit: "events/s" }),
      panel("Orders", "orders", "bar", 5, { x: "window_start", y: ["n"], series: "name" }),
      panel("Traffic", "traffic", "area", 4, { x: "window_start", y: ["received", "sent"], unit: "B/s" }),
      panel("Load of Hamburg", "load", "gauge", 3, {
        ...lines,
        unit: "%",
        only: { name: ["Hamburg"] },
        warn: 80,
        bad: 95,
      }),
      panel("Streams", "streams", "table", 6, {
        columns: ["stream", "per_second", "last_event"],
        sort: "-per_second",
        bars: ["per_second"],
        rows: 6,
      }),
      panel("Latest events", "messages", "table", 6, { columns: ["at", "level", "site", "message"], rows: 6 }),
    ],
  },
  {
    name: "edges",
    title: "At the edges",
    range: 15 * MINUTES,
    panels: [
      panel("Load of many hosts", "hosts", "line", 6, { ...lines, unit: "%" }),
      panel("Nothing yet", "nothing", "line", 6, { x: "value", y: ["value"] }),
      panel("A feed that is not there", "missing", "table", 4),
      panel("A column that is not there", "load", "line", 4, { ...lines, y: ["valve"] }),
      panel("All columns", "streams", "table", 4),
      panel("No number", "load", "stat", 3),
      panel("None of these", "streams", "stat", 3, { y: ["events"], only: { stream: ["no such stream"] } }),
      panel("A type of tomorrow", "streams", "globe", 6),
    ],
  },
  { name: "alone", title: "Alone", range: 15 * MINUTES, panels: [panel("Load by site", "load", "line", 6, lines)] },
  {
    name: "bad-input",
    title: "Bad input",
    range: 15 * MINUTES,
    panels: [
      panel("Nulls", "nulls", "line", 4, lines),
      panel("Null now", "nulls", "stat", 2, { x: "window_start", y: ["value"], compare: MINUTES }),
      panel("Null of all", "nulls", "gauge", 3, { x: "window_start", y: ["value"], unit: "%" }),
      panel("Null ranks", "nulls", "bar", 3, { x: "name", y: ["value"] }),
      panel("Huge", "huge", "line", 4, lines),
      panel("Huge bars", "huge", "bar", 4, lines),
      panel("Huge sum", "huge", "stat", 4, { x: "window_start", y: ["value"], combine: "sum" }),
      panel("Names", "names", "line", 6, lines),
      panel("Name ranks", "names", "bar", 6, { x: "name", y: ["value"] }),
      panel("Name table", "names", "table", 12, { rows: 8 }),
      panel("Many rows", "many", "table", 6, { sort: "-value" }),
      panel("Many lines", "many", "line", 6, { x: "at", y: ["value"], series: "name" }),
      panel("Many as one", "many", "stat", 12, { y: ["value"], combine: "mean" }),
      panel("נתונים ".repeat(30), "load", "line", 12, lines),
    ],
  },
];

const tickOf = (now) => Math.floor(now / TICK);
const cursorOf = (feed, tick) => `1-${Object.keys(FEEDS).indexOf(feed) + 10}-${tick}`;
const rowsAt = (feed, tick) => FEEDS[feed].rows(tick * TICK);
const keyColumns = (feed) => FEEDS[feed].key.map((name) => FEEDS[feed].columns.findIndex((c) => c.name === name));
const byColumn = (feed, rows) => FEEDS[feed].columns.map((_, at) => rows.map((row) => row[at]));

function deltaBetween(feed, from, to) {
  const moves = feed !== "many" && feed !== "nothing";
  if (!moves) return { type: "delta", view: feed, from: cursorOf(feed, from), cursor: cursorOf(feed, to) };
  const at = keyColumns(feed);
  const keyed = (tick) => new Map(rowsAt(feed, tick).map((row) => [JSON.stringify(at.map((i) => row[i])), row]));
  const before = keyed(from);
  const after = keyed(to);
  return {
    type: "delta",
    view: feed,
    from: cursorOf(feed, from),
    cursor: cursorOf(feed, to),
    upsert: [...after]
      .filter(([key, row]) => JSON.stringify(before.get(key)) !== JSON.stringify(row))
      .map(([, row]) => row),
    delete: [...before.keys()].filter((key) => !after.has(key)).map((key) => JSON.parse(key)),
  };
}

const problem = (response, status, code, detail) => {
  response.writeHead(status, { "content-type": "application/problem+json" });
  response.end(JSON.stringify({ type: "about:blank", status, code, title: code, detail }));
};

const json = (response, body) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
};

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

async function file(response, path) {
  try {
    const body = await readFile(join(DIST, normalize(path)));
    response.writeHead(200, {
      "content-type": TYPES[extname(path)] ?? "application/octet-stream",
      "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    });
    response.end(body);
  } catch {
    problem(response, 404, "not_found", "There is nothing at this path.");
  }
}

const server = createServer((request, response) => {
  const path = new URL(request.url, "http://server").pathname;
  const name = decodeURIComponent(path.split("/").at(-1));
  if (path === "/readyz") return json(response, { ready: true });
  if (path === "/v1/dashboards") {
    return json(response, { dashboards: DASHBOARDS.map(({ name, title }) => ({ name, title })) });
  }
  if (path.startsWith("/v1/dashboards/")) {
    const dashboard = DASHBOARDS.find((one) => one.name === name);
    if (dashboard !== undefined) return json(response, dashboard);
    return problem(response, 404, "unknown_dashboard", `There is no dashboard \`${name}\`.`);
  }
  if (path === "/v1/feeds") {
    const feeds = Object.entries(FEEDS).map(([name, { key, columns, rows }]) => ({
      name,
      stream: "readings",
      sql: `SELECT ${columns.map((column) => column.name).join(", ")}\nFROM readings`,
      key,
      columns,
      rows: rows(Date.now()).length,
      offset: rows(Date.now()).length === 0 ? 0 : tickOf(Date.now()),
      rebuilding: name === "hosts" ? 0.4 : null,
      failure: name === "many" ? "event 17 of the log cannot be read: its schema is gone" : null,
    }));
    return json(response, { feeds });
  }
  if (path === "/v1/streams") {
    const columns = [text("name"), double("value")].map((column) => ({ ...column, from: column.name }));
    const accepted = Math.floor((Date.now() - STARTED) / 5);
    const counts = {
      accepted,
      refused: 3,
      dead_letters: 5,
      watermark: Date.now() - 2000,
      caught_up: true,
      ended: false,
      failure: null,
    };
    return json(response, { streams: [{ name: "readings", writable: true, columns, ...counts }] });
  }
  if (path.startsWith("/v1/feeds/") && name in FEEDS) {
    const tick = tickOf(Date.now());
    const { key, columns } = FEEDS[name];
    const data = byColumn(name, rowsAt(name, tick));
    return json(response, { type: "snapshot", view: name, key, columns, cursor: cursorOf(name, tick), data });
  }
  if (path === "/" || path.startsWith("/dashboard/")) return file(response, "index.html");
  if (path.startsWith("/assets/")) return file(response, path);
  return problem(response, 404, "not_found", "There is nothing at this path.");
});

const sockets = new WebSocketServer({ server, path: "/v1/ws", handleProtocols: () => "tidewire.v1.json" });

sockets.on("connection", (socket) => {
  /** Where each subscription of this socket stands. */
  const followed = new Map();
  const say = (message) => socket.send(JSON.stringify(message));

  const subscribe = ({ ref, feed, since }) => {
    if (!(feed in FEEDS)) {
      return say({ type: "error", ref, code: "unknown_feed", message: `There is no feed \`${feed}\`.` });
    }
    const { key, columns } = FEEDS[feed];
    const tick = tickOf(Date.now());
    followed.set(ref, { feed, tick });
    say({ type: "subscribed", ref, view: feed, key, columns });
    const from = Number(since?.split("-").at(-1));
    if (since === cursorOf(feed, from) && from <= tick) return say(deltaBetween(feed, from, tick));
    const rows = rowsAt(feed, tick);
    const half = Math.ceil(rows.length / 2);
    say({ type: "snapshot", view: feed, more: true, data: byColumn(feed, rows.slice(0, half)) });
    say({
      type: "snapshot",
      view: feed,
      cursor: cursorOf(feed, tick),
      reset: since !== undefined,
      data: byColumn(feed, rows.slice(half)),
    });
  };

  socket.on("message", (data) => {
    const message = JSON.parse(String(data));
    if (message.op === "subscribe") subscribe(message);
    else if (message.op === "unsubscribe") followed.delete(message.ref);
    else if (message.op === "ping") say({ type: "pong", ref: message.ref });
    else say({ type: "error", code: "bad_message", message: `Unknown op \`${message.op}\`.` });
  });

  const timer = setInterval(() => {
    const tick = tickOf(Date.now());
    for (const at of followed.values()) {
      if (tick <= at.tick) continue;
      say(deltaBetween(at.feed, at.tick, tick));
      at.tick = tick;
    }
  }, TICK);
  socket.on("close", () => clearInterval(timer));
});

server.listen(Number(port), host, () => {
  console.log(`listening on http://${host}:${server.address().port}`);
});
