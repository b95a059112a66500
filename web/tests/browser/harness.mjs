// What the browser tests stand on: the real server (or the stand-in), and the system's Chromium.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const STAND_IN = fileURLToPath(new URL("../fake-server.mjs", import.meta.url));

/** The program under test: `TIDEWIRE_BIN`, or the stand-in of this folder. */
export const PROGRAM = process.env.TIDEWIRE_BIN ?? STAND_IN;
export const isStandIn = PROGRAM === STAND_IN;

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const CHROMIUM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
const CHROMIUM_FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const openBrowser = () => chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });

/** Asks until it is so; the last answer is part of the failure. */
export async function until(what, ask, milliseconds = 30_000) {
  const end = Date.now() + milliseconds;
  let last;
  while (Date.now() < end) {
    last = await ask().catch((error) => error);
    if (last === true) return;
    await pause(100);
  }
  throw new Error(`${what}: not within ${milliseconds} ms; last seen: ${last?.stack ?? JSON.stringify(last)}`);
}

export async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/**
 * A server that can be killed and started again on its port and its data: the demo of the
 * program under test, unless another program or other arguments are given.
 */
export class Server {
  #child;
  #output = "";

  static async start({ program = PROGRAM, args = ["demo"] } = {}) {
    const server = new Server();
    server.program = program;
    server.args = args;
    server.listen = `127.0.0.1:${await freePort()}`;
    server.url = `http://${server.listen}`;
    server.data = await mkdtemp(join(tmpdir(), "tidewire-web-"));
    await server.run();
    return server;
  }

  get pid() {
    return this.#child?.pid;
  }

  async run() {
    const child = spawn(this.program, [...this.args, "--listen", this.listen, "--data-dir", this.data], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text) => {
        this.#output = (this.#output + text).slice(-4000);
      });
    }
    const gone = new Promise((_, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}:\n${this.#output}`)));
    });
    gone.catch(() => {});
    const ready = until("the server is ready", async () => (await fetch(`${this.url}/readyz`)).ok, 60_000);
    await Promise.race([ready, gone]);
  }

  /** Ends it as a crash would: it can neither save nor say goodbye. */
  async kill() {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async stop() {
    await this.kill();
    await rm(this.data, { recursive: true, force: true });
  }

  async get(path) {
    const response = await fetch(this.url + path);
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response.json();
  }
}

/**
 * Collects what the page must not say. A browser reports by itself that a server cannot be
 * reached; while `expectLoss` is set that is left out.
 */
export function watchConsole(page) {
  const watch = { faults: [], expectLoss: false };
  page.on("pageerror", (error) => watch.faults.push(String(error.stack ?? error)));
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    const isLoss = /WebSocket connection to .* failed|net::ERR_/.test(message.text());
    if (!(watch.expectLoss && isLoss)) watch.faults.push(message.text());
  });
  return watch;
}

/** Faults that axe-core finds in what is shown. */
export async function findFaults(page) {
  // Not as a script element: the page's policy allows its own alone.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`);
}

/** What a panel shows, read as a screen reader would: all cells of its table, and the times in them. */
export const readPanel = (page, title) =>
  page.getByRole("region", { name: title, exact: true }).evaluate((panel) => ({
    state: panel.dataset.state,
    times: [...panel.querySelectorAll("time")].map((time) => Date.parse(time.dateTime)),
    text: [...panel.querySelectorAll(".key b, .rows td, .rows tbody th, .value, .change")]
      .map((cell) => cell.textContent)
      .join(" "),
  }));
