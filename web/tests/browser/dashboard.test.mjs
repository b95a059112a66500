// The way from the server to the eye: every panel moves, and goes on after the server was killed.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isStandIn, openBrowser, PROGRAM, readPanel, Server, until, watchConsole } from "./harness.mjs";

let browser;
let server;
let dashboard;

before(async () => {
  console.log(`server: ${isStandIn ? "the stand-in (TIDEWIRE_BIN is not set)" : PROGRAM}`);
  [browser, server] = await Promise.all([openBrowser(), Server.start()]);
  const { dashboards } = await server.get("/v1/dashboards");
  dashboard = await server.get(`/v1/dashboards/${dashboards[0].name}`);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A page on the first dashboard, and what was said on its socket. */
async function openDashboard(options = {}) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, ...options });
  const console = watchConsole(page);
  const frames = [];
  page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => frames.push(JSON.parse(String(payload))));
  });
  await page.goto(`${server.url}/dashboard/${dashboard.name}`);
  return { page, console, frames };
}

const allLive = (page) => async () => {
  const states = await page.locator(".panel").evaluateAll((panels) => panels.map((panel) => panel.dataset.state));
  return (states.length === dashboard.panels.length && states.every((state) => state === "live")) || states;
};

/** Waits until each panel shows something else than now. */
async function seeAllMove(page) {
  for (const { title } of dashboard.panels) {
    const { text } = await readPanel(page, title);
    await until(`${title} moves`, async () => (await readPanel(page, title)).text !== text);
  }
}

/** Waits until each chart has every x that its feed has: no hole in what the reader is told. */
async function seeNoHole(page) {
  for (const { title, feed, x, type } of dashboard.panels) {
    if (type !== "line") continue;
    const { columns, data } = await server.get(`/v1/feeds/${encodeURIComponent(feed)}`);
    const at = columns.findIndex((column) => column.name === x);
    assert.equal(columns[at].type, "timestamp");
    const newest = [...new Set(data[at])].sort((a, b) => b - a).slice(0, 30);
    await until(`${title} has no hole`, async () => {
      const { times } = await readPanel(page, title);
      const lacking = newest.filter((time) => !times.includes(time));
      return lacking.length === 0 || { lacking, times };
    });
  }
}

describe("a dashboard", { timeout: 240_000 }, () => {
  it("shows history at once, moves, and goes on by itself after the server was killed", async () => {
    const { page, console, frames } = await openDashboard();
    const headline = page.getByRole("status");
    await until("all panels are live", allLive(page));
    assert.equal(await headline.textContent(), "Live");
    await seeAllMove(page);
    await seeNoHole(page);
    const shown = await Promise.all(dashboard.panels.map(({ title }) => readPanel(page, title)));

    console.expectLoss = true;
    await server.kill();
    await until("the page says so", async () => (await headline.textContent()) === "Reconnecting");
    for (const [at, { title }] of dashboard.panels.entries()) {
      const panel = await readPanel(page, title);
      assert.equal(panel.state, "reconnecting", `${title} says that it waits`);
      assert.ok(panel.text.length >= shown[at].text.length / 2, `${title} keeps what it has`);
    }
    await page.getByRole("button", { name: "try now" }).waitFor();

    frames.length = 0;
    await server.run();
    await until("the page is live again by itself", async () => (await headline.textContent()) === "Live");
    await until("all panels are live again", allLive(page));
    console.expectLoss = false;
    await seeAllMove(page);
    await seeNoHole(page);
    const feeds = new Set(dashboard.panels.map((panel) => panel.feed));
    assert.equal(frames.filter((frame) => frame.type === "subscribed").length, feeds.size, "one subscription a feed");
    assert.deepEqual(
      frames.filter((frame) => frame.type === "snapshot"),
      [],
      "each feed went on from its cursor",
    );
    assert.deepEqual(console.faults, []);
    await page.close();
  });

  it("reads the same time on every chart under the pointer", async () => {
    const { page, console } = await openDashboard();
    await until("all panels are live", allLive(page));
    const charts = page.locator(".panel:has(.chart)");
    const box = await charts.first().locator(".chart canvas").boundingBox();
    await page.mouse.move(box.x + box.width * 0.97, box.y + box.height / 2);
    const notes = async () => charts.locator(".note").allTextContents();
    const allTimes = async () => (await notes()).every((note) => /\d\d:\d\d:\d\d$/.test(note)) || notes();
    await until("every chart names the time", allTimes);
    await page.mouse.move(0, 0);
    await until("the units are back", async () => (await notes()).every((note) => !/:/.test(note)) || notes());
    assert.deepEqual(console.faults, []);
    await page.close();
  });

  it("fits a phone, dark and light", async () => {
    for (const colorScheme of ["dark", "light"]) {
      const { page, console } = await openDashboard({ viewport: { width: 390, height: 844 }, colorScheme });
      await until("all panels are live", allLive(page));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} px wider than the screen`);
      const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.equal(ground, colorScheme === "dark" ? "rgb(10, 15, 20)" : "rgb(244, 246, 248)");
      assert.deepEqual(console.faults, []);
      await page.close();
    }
  });

  it("that is unknown says so and leads to those that are", async () => {
    const page = await browser.newPage();
    await page.goto(`${server.url}/dashboard/nowhere`);
    await page.getByRole("heading", { name: "There is no dashboard “nowhere”" }).waitFor();
    await page.getByRole("link", { name: "See all dashboards" }).click();
    await page.getByRole("link", { name: dashboard.title }).click();
    await page.getByRole("heading", { level: 1, name: dashboard.title }).waitFor({ state: "attached" });
    await until("all panels are live", allLive(page));
    await page.close();
  });

  it("can be gone through with the keyboard", async () => {
    const { page } = await openDashboard();
    await until("all panels are live", allLive(page));
    const stops = [];
    for (let at = 0; at < 40; at++) {
      await page.keyboard.press("Tab");
      const stop = await page.evaluate(() => {
        const { activeElement: active } = document;
        return active === document.body
          ? undefined
          : (active?.getAttribute("aria-label") ?? active?.textContent?.trim());
      });
      if (stop === undefined) break;
      stops.push(stop);
    }
    assert.equal(stops[0], "Tidewire");
    assert.equal(stops[1], dashboard.title);
    const tables = dashboard.panels.filter((panel) => panel.type === "table");
    for (const { title } of tables) assert.ok(stops.includes(`Rows of ${title}`), `${title} is reached: ${stops}`);
    await page.close();
  });
});
