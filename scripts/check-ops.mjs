#!/usr/bin/env node
// scripts/check-ops.mjs PROGRAM: what stands under ops/, held against the running demo. The
// metrics and rules pass promtool, a real Prometheus scrapes and evaluates them, and every
// query of the Grafana dashboard is answered.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const program = process.argv[2];
const dir = mkdtempSync(join(tmpdir(), "tidewire-ops-"));
const started = [];

function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: "ignore", ...options });
  started.push(child);
  child.on("error", (error) => fail(`${command} cannot be started: ${error.message}`));
  return child;
}

function fail(message) {
  throw new Error(message);
}

function promtool(...args) {
  const options = args.at(-1) instanceof Object ? args.pop() : {};
  try {
    return execFileSync("promtool", args, { encoding: "utf8", stdio: ["pipe", "pipe", "pipe"], ...options });
  } catch (error) {
    fail(`promtool ${args.join(" ")}: ${error.stdout ?? ""}${error.stderr ?? error.message}`);
  }
}

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function until(what, ask) {
  const end = Date.now() + 60_000;
  while (Date.now() < end) {
    try {
      const found = await ask();
      if (found) return found;
    } catch {
      // Not there yet.
    }
    await sleep(200);
  }
  fail(`never: ${what}`);
}

async function check() {
  const listen = `127.0.0.1:${await freePort()}`;
  const demo = `http://${listen}`;
  start(program, ["demo", "--listen", listen, "--log", "warn"]);
  await until("the demo is ready", async () => (await fetch(`${demo}/readyz`)).ok);

  promtool("check", "metrics", { input: await (await fetch(`${demo}/metrics`)).text() });
  promtool("check", "rules", "ops/prometheus/rules.yml");
  promtool("test", "rules", "ops/prometheus/rules_test.yml");
  promtool("check", "config", "ops/prometheus/prometheus.yml");

  // The configuration as it is, but for the demo's port and the test's patience.
  const config = readFileSync("ops/prometheus/prometheus.yml", "utf8")
    .replace("127.0.0.1:8080", listen)
    .replace("[rules.yml]", `[${join(process.cwd(), "ops/prometheus/rules.yml")}]`)
    .replaceAll("15s", "1s");
  writeFileSync(join(dir, "prometheus.yml"), config);
  const port = await freePort();
  start("prometheus", [
    `--config.file=${join(dir, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(dir, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--log.level=error",
  ]);
  const api = async (path) => {
    const answer = await (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json();
    if (answer.status !== "success") fail(`${path}: ${answer.error}`);
    return answer.data;
  };
  const query = async (expr) => (await api(`query?query=${encodeURIComponent(expr)}`)).result;
  await until("Prometheus scrapes", async () => (await query('up{job="tidewire"} == 1')).length === 1);
  await until("rates", async () => (await query("rate(tidewire_events_accepted_total[10s])")).length > 0);

  const panels = JSON.parse(readFileSync("ops/grafana/tidewire.json", "utf8")).panels;
  const targets = panels.flatMap((panel) => (panel.targets ?? []).map((target) => [panel.title, target.expr]));
  let shown = 0;
  for (const [title, expr] of targets) {
    const concrete = expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "10s");
    // Some queries show nothing while all is well: they say so with a comparison. A checkpoint
    // is written only where there is a disk.
    const quiet = / [<>=]=? ?\d/.test(expr) || expr.includes("checkpoint_seconds");
    const result = await until(`panel "${title}" shows something: ${expr}`, async () => {
      const found = await query(concrete);
      return (quiet || found.length > 0) && [found];
    });
    shown += result[0].length > 0 ? 1 : 0;
  }
  const rules = await until("rules are evaluated", async () => {
    const now = (await api("rules")).groups.flatMap((group) => group.rules);
    return now.length > 0 && now.every((rule) => rule.health !== "unknown") && now;
  });
  for (const rule of rules) {
    if (rule.health !== "ok") fail(`rule ${rule.name}: ${rule.lastError}`);
    if (rule.state === "firing") fail(`rule ${rule.name} fires though all is well`);
  }
  console.log(`${rules.length} rules are evaluated and quiet; ${shown} of ${targets.length} queries show something`);
}

try {
  await check();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  for (const child of started) child.kill();
  await Promise.all(started.map((child) => child.exitCode ?? new Promise((resolve) => child.once("exit", resolve))));
  rmSync(dir, { recursive: true, force: true });
}
