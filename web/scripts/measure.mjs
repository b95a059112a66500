// Measures the page over the demo of TIDEWIRE_BIN, a built `tidewire`:
//
//     TIDEWIRE_BIN=… node scripts/measure.mjs [seconds]
//
// when the first panel has moved after a navigation, and what the server costs in `seconds`
// (30 unless said) with the page open: its CPU as the operating system counts it, and its memory.
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { isStandIn, openBrowser, Server, until } from "../tests/browser/harness.mjs";

if (isStandIn) {
  console.error("Set TIDEWIRE_BIN to a built tidewire: `make bench` does that.");
  process.exit(1);
}
const seconds = Number(process.argv[2] ?? 30);
/** Ticks of the clock by which Linux counts a process's time: always 100 a second. */
const TICKS = 100;

const [browser, server] = await Promise.all([openBrowser(), Server.start()]);
try {
  const { dashboards } = await server.get("/v1/dashboards");
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.addInitScript(() => {
    const first = new Map();
    const look = () => {
      for (const panel of document.querySelectorAll('.panel[data-state="live"]')) {
        const text = [...panel.querySelectorAll(".value, .key b, .rows td")].map((it) => it.textContent).join(" ");
        const before = first.get(panel) ?? text;
        first.set(panel, before);
        if (text !== before) window.movedAt ??= performance.now();
      }
      if (window.movedAt === undefined) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  const times = [];
  for (let attempt = 0; attempt < 5; attempt++) {
    await page.goto(`${server.url}/dashboard/${dashboards[0].name}`);
    await until("a panel has moved", () => page.evaluate(() => window.movedAt !== undefined));
    times.push(Math.round(await page.evaluate(() => window.movedAt)));
  }
  console.log(`page: first moving panel ${times.join(", ")} ms after navigation`);
  await pause(3000);
  const [before, began] = [cpu(), performance.now()];
  await pause(seconds * 1000);
  const share = ((cpu() - before) / (performance.now() - began)) * 1000;
  const memory = Number(/VmRSS:\s+(\d+)/.exec(proc("status"))?.[1]) / 1024;
  console.log(
    `page: the demo with its page open, ${seconds} s: ${(share * 100).toFixed(1)} % of a core, ${memory.toFixed(1)} MiB`,
  );
} finally {
  await browser.close();
  await server.stop();
}

function proc(file) {
  return readFileSync(`/proc/${server.pid}/${file}`, "utf8");
}

/** Seconds of CPU that the server has used. */
function cpu() {
  const fields = proc("stat").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}
