// Follows a feed with Chromium's EventSource until its table has so many rows; Chromium
// connects again by itself. Prints the table and how often it was reset.
//
// node --experimental-websocket events.mjs CHROMIUM SERVER FEED ROWS
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [chromium, server, feed, wanted] = process.argv.slice(2);

// Runs in the page; says how far it is, and in the end what it has.
function follow(feed, wanted) {
  let rows = new Map();
  let coming = new Map();
  let keys = 0;
  const seen = { snapshots: 0, deltas: 0, resets: 0, closings: 0, opened: 0 };
  const idOf = (row) => JSON.stringify(row.slice(0, keys));
  const source = new EventSource(`/v1/feeds/${feed}`);
  source.onopen = () => {
    coming = new Map();
    seen.opened += 1;
  };
  source.onmessage = ({ data, lastEventId }) => {
    const frame = JSON.parse(data);
    if (frame.type === "subscribed") keys = frame.key.length;
    if (frame.type === "closing") seen.closings += 1;
    if (frame.type === "snapshot") {
      (frame.data[0] ?? []).forEach((_, i) => {
        const row = frame.data.map((column) => column[i]);
        coming.set(idOf(row), row);
      });
      if (frame.more) return;
      [rows, coming] = [coming, new Map()];
      seen.snapshots += 1;
      seen.resets += Number(frame.reset);
    }
    if (frame.type === "delta") {
      for (const row of frame.upsert) rows.set(idOf(row), row);
      for (const key of frame.delete) rows.delete(JSON.stringify(key));
      seen.deltas += 1;
    }
    if (frame.cursor && frame.cursor !== lastEventId) throw new Error(`${lastEventId} is not ${frame.cursor}`);
    console.log(`at ${rows.size}`);
    if (rows.size === wanted) {
      source.close();
      console.log(JSON.stringify({ ...seen, rows: [...rows.values()].sort() }));
    }
  };
}

const profile = mkdtempSync(join(tmpdir(), "tidewire-chromium-"));
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"];
const browser = spawn(chromium, [...flags, `--user-data-dir=${profile}`, "about:blank"], {
  stdio: ["ignore", "ignore", "pipe"],
});

function end(code) {
  browser.once("exit", () => {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    process.exit(code);
  });
  browser.kill();
}

const address = await new Promise((resolve, reject) => {
  browser.once("error", reject);
  browser.once("exit", (code) => reject(new Error(`Chromium ended with ${code}`)));
  createInterface({ input: browser.stderr }).on("line", (line) => {
    const listening = line.match(/DevTools listening on (\S+)/);
    if (listening) resolve(listening[1]);
  });
});
browser.removeAllListeners("exit");

const socket = new WebSocket(address);
await new Promise((resolve) => {
  socket.onopen = resolve;
});
let last = 0;
const waiting = new Map();
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.id) waiting.get(message.id)?.(message.result);
  if (message.method === "Runtime.consoleAPICalled") {
    const text = String(message.params.args[0].value);
    console.log(text);
    if (text.startsWith("{")) end(0);
  }
  if (message.method === "Runtime.exceptionThrown") {
    console.error(JSON.stringify(message.params));
    end(1);
  }
};
const call = (method, params = {}, sessionId = undefined) =>
  new Promise((resolve) => {
    last += 1;
    waiting.set(last, resolve);
    socket.send(JSON.stringify({ id: last, method, params, sessionId }));
  });

// Not the page itself, whose policy would be as good: a path that is only an origin.
const { targetId } = await call("Target.createTarget", { url: `${server}/livez` });
const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
await call("Runtime.enable", {}, sessionId);
for (;;) {
  const there = await call("Runtime.evaluate", { expression: "location.pathname + document.readyState" }, sessionId);
  if (there?.result?.value === "/livezcomplete") break;
}
console.log("ready");
await call("Runtime.evaluate", { expression: `(${follow})(${JSON.stringify(feed)}, ${wanted})` }, sessionId);
