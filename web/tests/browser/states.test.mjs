// Each state of a panel by its real cause: a feed that is empty, a stream that falls silent, a
// server that is killed and comes back. Needs the real program.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { isStandIn, openBrowser, PROGRAM, readPanel, Server, until, watchConsole } from "./harness.mjs";

const CONFIG = `
streams:
  events:
    source: { type: http }
    schema: { metric: text, value: double, ts: timestamp }
    event_time: { column: ts }
feeds:
  latest:
    sql: SELECT metric, value, ts FROM events
    key: [metric]
  load:
    sql: |
      SELECT metric, window_start, window_end, avg(value) AS value
      FROM TUMBLE(events, ts, INTERVAL '1 second')
      GROUP BY metric, window_start, window_end
dashboards:
  states:
    panels:
      - { title: Now, feed: latest, type: stat, y: value, expect: 3s, span: 3 }
      - { title: Load, feed: load, type: line, x: window_start, y: value, series: metric, span: 6 }
`;

const skip = isStandIn ? "needs the real program: set TIDEWIRE_BIN" : false;
let browser;
let server;
let folder;

before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), "tidewire-states-"));
  await writeFile(join(folder, "tidewire.yaml"), CONFIG);
  const args = ["serve", "--config", join(folder, "tidewire.yaml")];
  [browser, server] = await Promise.all([openBrowser(), Server.start({ program: PROGRAM, args })]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

async function send(value) {
  const response = await fetch(`${server.url}/v1/streams/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ metric: "cpu", value, ts: Date.now() }),
  });
  assert.equal(response.status, 200);
}

it("empty, live, slow, reconnecting, stale, and live again", { skip, timeout: 180_000 }, async () => {
  const page = await browser.newPage();
  const console = watchConsole(page);
  const state = (title, wanted, milliseconds) =>
    until(
      `${title} is ${wanted}`,
      async () => {
        const { state } = await readPanel(page, title);
        return state === wanted || state;
      },
      milliseconds,
    );
  const note = (title) => page.getByRole("region", { name: title, exact: true }).locator(".note").textContent();
  const headline = page.locator(".headline");
  await page.goto(`${server.url}/dashboard/states`);

  await state("Now", "empty");
  await until("it says what would fill it", async () =>
    /echo '\{"metric":"a".*\| tidewire push events/.test(await page.getByRole("region", { name: "Now" }).textContent()),
  );
  await send(41.5);
  await state("Now", "live");
  await state("Load", "live");
  assert.match((await readPanel(page, "Now")).text, /^41\.5/);

  await state("Now", "slow");
  assert.match(await note("Now"), /^no change for \d+ s$/);
  assert.match(await headline.textContent(), /Slow.*1 of 2 panels/);
  await state("Load", "live");
  await send(42.5);
  await state("Now", "live");

  console.expectLoss = true;
  await server.kill();
  await state("Now", "reconnecting");
  assert.match(await headline.textContent(), /Reconnecting/);
  await state("Load", "stale", 60_000);
  assert.match(await note("Load"), /^last data \d\d:\d\d:\d\d$/);
  assert.match(await headline.textContent(), /Stale/);
  assert.match((await readPanel(page, "Now")).text, /^42\.5/, "what was there stays");

  await server.run();
  const tryNow = page.getByRole("button", { name: "try now" });
  if (await tryNow.isVisible()) await tryNow.click().catch(() => {});
  await state("Load", "live");
  await send(43.5);
  await until("it moves again", async () => /^43\.5/.test((await readPanel(page, "Now")).text));
  assert.deepEqual(console.faults, []);
});

it("a page that is open shows a dashboard that was changed", { skip, timeout: 60_000 }, async () => {
  const page = await browser.newPage();
  const { faults } = watchConsole(page);
  await page.goto(`${server.url}/dashboard/states`);
  await page.getByRole("region", { name: "Now", exact: true }).waitFor();
  const changed = CONFIG.replace("title: Now", "title: Newest").replace("type: line", "type: bar");
  assert.notEqual(changed, CONFIG);
  await writeFile(join(folder, "tidewire.yaml"), changed);
  await page.getByRole("region", { name: "Newest", exact: true }).waitFor({ timeout: 20_000 });
  assert.deepEqual(faults, []);
  await page.close();
});

it("a page that is opened when nothing comes any more says how old its numbers are", {
  skip,
  timeout: 60_000,
}, async () => {
  await send(7);
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const page = await browser.newPage();
  const { faults } = watchConsole(page);
  await page.goto(`${server.url}/dashboard/states`);
  // It has seen no change: the age is the server's.
  const panel = page.getByRole("region", { name: "Newest", exact: true });
  await until("it is slow", async () => /no change for ([5-9]|1\d) s/.test(await panel.textContent()));
  assert.equal(await panel.getAttribute("data-state"), "slow");
  await send(8);
  await until("it is live", async () => (await panel.getAttribute("data-state")) === "live");
  assert.deepEqual(faults, []);
  await page.close();
});

it("a number on a wall is as large as its panel allows", { skip, timeout: 60_000 }, async () => {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const size = async () => {
    const value = page.getByRole("region", { name: "Newest", exact: true }).locator(".value");
    await value.waitFor();
    return value.evaluate((element) => Number.parseFloat(getComputedStyle(element).fontSize));
  };
  await page.goto(`${server.url}/dashboard/states`);
  assert.equal(await size(), 30);
  await page.goto(`${server.url}/dashboard/states?kiosk`);
  const large = await size();
  assert.ok(large > 40, `${large} px`);
  await page.close();
});
