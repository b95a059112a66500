// The way from the server to the eye: every panel moves, and goes on after the server was killed.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { findFaults, isStandIn, openBrowser, PROGRAM, readPanel, Server, until, watchConsole } from "./harness.mjs";

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

/** Waits until each panel shows something else than now. What is late or refused comes seldom. */
async function seeAllMove(page) {
  const read = () => Promise.all(dashboard.panels.map(async ({ title }) => (await readPanel(page, title)).text));
  const before = await read();
  const waiting = new Set(before.keys());
  const allMoved = async () => {
    for (const [at, text] of (await read()).entries()) if (text !== before[at]) waiting.delete(at);
    return waiting.size === 0 || [...waiting].map((at) => dashboard.panels[at].title);
  };
  await until("all panels move", allMoved, 120_000);
}

/** Waits until each chart has every x that its feed has: no hole in what the reader is told. */
async function seeNoHole(page) {
  for (const { title, feed, x, type, only } of dashboard.panels) {
    if (!["line", "area"].includes(type) || Object.keys(only ?? {}).length > 0) continue;
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

describe("a dashboard", { timeout: 480_000 }, () => {
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
    const notes = async () => charts.locator(".note").allTextContents();
    // A feed without a past from before the start has that time only after a while.
    let share = 0.9;
    const allTimes = async () => {
      share = share === 0.9 ? 0.91 : 0.9;
      await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
      const all = await notes();
      return all.every((note) => /\d\d:\d\d:\d\d$/.test(note)) || all;
    };
    await until("every chart names the time", allTimes, 90_000);
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

  it("zooms by dragging, keeps that in the address, and goes back by a double click", async () => {
    const { page, console } = await openDashboard();
    await until("all panels are live", allLive(page));
    const chart = page.locator(".chart canvas").first();
    const box = await chart.boundingBox();
    const middle = box.y + box.height / 2;
    await page.mouse.move(box.x + box.width * 0.4, middle);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.7, middle, { steps: 4 });
    await page.mouse.up();
    await page.getByRole("button", { name: "zoomed" }).waitFor();
    const zoom = new URL(page.url()).searchParams.get("zoom");
    assert.match(zoom, /^\d+-\d+$/);

    const [from, to] = zoom.split("-").map(Number);
    const edge = async (share) => {
      await page.mouse.move(box.x + box.width * share, middle);
      return page.locator(".panel:has(.chart) .note").first().textContent();
    };
    const day = new Date(from).toDateString();
    for (const share of [0.2, 0.8]) {
      await until(`what is ${share} of the way is in ${zoom}`, async () => {
        const at = Date.parse(`${day} ${await edge(share)}`);
        // A window may have begun before.
        return (at >= from - 20_000 && at <= to + 20_000) || new Date(at);
      });
    }

    const colleague = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await colleague.goto(page.url());
    await colleague.getByRole("button", { name: "zoomed" }).waitFor();
    await colleague.close();

    await page.mouse.dblclick(box.x + box.width / 2, middle);
    await until("it is zoomed no longer", async () => !page.url().includes("zoom"));
    await page.goBack();
    await page.getByRole("button", { name: "zoomed" }).waitFor();
    await page.keyboard.press("Escape");
    await until("it is zoomed no longer", async () => !page.url().includes("zoom"));
    await page.getByRole("button", { name: "5 m", exact: true }).click();
    assert.equal(new URL(page.url()).searchParams.get("range"), "5m");
    assert.deepEqual(console.faults, []);
    await page.close();
  });

  it("waits while it is paused, says how far behind it is, and catches up", async () => {
    const { page, console } = await openDashboard();
    await until("all panels are live", allLive(page));
    const shown = async () =>
      (await Promise.all(dashboard.panels.map(async ({ title }) => (await readPanel(page, title)).text))).join("\n");
    await page.keyboard.press(" ");
    const headline = page.getByRole("status").first();
    await until("it says so", async () => (await headline.textContent()) === "Paused");
    const before = await shown();
    const behind = page.locator(".headline span");
    await until("it says how far behind", async () =>
      /^[3-9] s behind · [\d,]+ changes/.test(await behind.textContent()),
    );
    assert.equal(await shown(), before, "nothing moves");
    await page.getByRole("button", { name: "go on", exact: true }).click();
    await until("it is live again", async () => (await headline.textContent()) === "Live");
    await seeAllMove(page);
    await seeNoHole(page);
    assert.deepEqual(console.faults, []);
    await page.close();
  });

  it("opens a panel over the whole page, with its query, and saves it", async () => {
    const { page, console } = await openDashboard();
    await until("all panels are live", allLive(page));
    const { title, feed } = dashboard.panels.find(({ type }) => type === "line");
    await page.getByRole("button", { name: title, exact: true }).focus();
    await page.keyboard.press("Enter");
    const panel = page.getByRole("region", { name: title, exact: true });
    const { feeds } = await server.get("/v1/feeds");
    const sql = feeds.find(({ name }) => name === feed).sql;
    await until("the query is there", async () => (await panel.locator("pre").textContent()).trim() === sql.trim());
    assert.equal(await page.locator(".panel:visible").count(), 1);
    assert.equal(new URL(page.url()).searchParams.get("panel"), title);

    const saved = async (name) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
      return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
    };
    const csv = await saved("Save as CSV");
    assert.equal(csv.name, `${title}.csv`);
    assert.match(String(csv.bytes), /^\w+(,\w+)+\r\n\d{4}-\d\d-\d\dT/);
    const png = await saved("Save as PNG");
    assert.equal(png.bytes.subarray(1, 4).toString(), "PNG");
    assert.ok(png.bytes.length > 10_000, "the picture shows something");

    await page.reload();
    await panel.locator("pre").waitFor();
    await page.keyboard.press("Escape");
    await until("all panels are back", async () => (await page.locator(".panel:visible").count()) > 1);
    assert.deepEqual(console.faults, []);
    await page.close();
  });

  it("has no fault that axe-core finds, nor has the index", async () => {
    for (const options of [{ colorScheme: "dark" }, { colorScheme: "light", viewport: { width: 390, height: 844 } }]) {
      const { page, console } = await openDashboard(options);
      await until("all panels are live", allLive(page));
      assert.deepEqual(await findFaults(page), []);
      await page.keyboard.press("?");
      await page.getByRole("dialog").waitFor();
      assert.deepEqual(await findFaults(page), []);
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: dashboard.panels[0].title, exact: true }).click();
      await page.locator(".full pre").waitFor();
      assert.deepEqual(await findFaults(page), []);
      await page.goto(server.url);
      await page.getByRole("heading", { name: "Streams" }).waitFor();
      assert.deepEqual(await findFaults(page), []);
      assert.deepEqual(console.faults, []);
      await page.close();
    }
  });

  it("changes its theme and remembers it, and leaves the header out on a wall", async () => {
    const { page } = await openDashboard({ colorScheme: "dark" });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(await ground(), "rgb(10, 15, 20)");
    await page.getByRole("button", { name: "Theme: system" }).click();
    assert.equal(await ground(), "rgb(244, 246, 248)");
    await page.reload();
    assert.equal(await ground(), "rgb(244, 246, 248)");
    await page.keyboard.press("t");
    assert.equal(await ground(), "rgb(10, 15, 20)");
    await until("all panels are live", allLive(page));
    await page.keyboard.press("k");
    await until("there is no header", async () => !(await page.locator(".header").isVisible()));
    assert.ok(page.url().endsWith("?kiosk"));
    await page.close();
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
    for (let at = 0; at < 120; at++) {
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
    for (const { title } of dashboard.panels) assert.ok(stops.includes(title), `${title} is reached: ${stops}`);
    const tables = dashboard.panels.filter((panel) => panel.type === "table");
    for (const { title } of tables) assert.ok(stops.includes(`Rows of ${title}`), `${title} is reached: ${stops}`);
    await page.close();
  });
});
