// States and input that the demo never shows, on dashboards of the stand-in.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { findFaults, openBrowser, readPanel, Server, STAND_IN, until, watchConsole } from "./harness.mjs";

let browser;
let server;

before(async () => {
  [browser, server] = await Promise.all([openBrowser(), Server.start({ program: STAND_IN })]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const timeout = 90_000;

it("a panel says why it shows nothing, and the others go on", { timeout }, async () => {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
  const console = watchConsole(page);
  await page.goto(`${server.url}/dashboard/edges`);
  const says = async (title, state, text) => {
    const panel = page.getByRole("region", { name: title, exact: true });
    await until(`${title} is ${state}`, async () => (await readPanel(page, title)).state === state);
    await until(`${title} says it`, async () => text.test(await panel.textContent()) || panel.textContent());
  };
  await says("Nothing yet", "empty", /No rows yet.*\{"name":"a","value":1\.5\}.*tidewire push readings --url/);
  await says("A feed that is not there", "error", /no feed missing.*Correct feed:/);
  await says("A column that is not there", "error", /no column valve.*name, window_start, value/);
  await says("All columns", "live", /page_views/);
  await says("Load of many hosts", "live", /\+5 more/);
  await says("No number", "error", /stat panel needs y:/);
  await says("None of these", "empty", /has rows, but none/);
  await says("A type of tomorrow", "live", /page_views/);
  await until("the header sums it up", async () => /3 of 8 panels/.test(await page.locator(".headline").textContent()));
  assert.deepEqual(await findFaults(page), []);
  assert.deepEqual(console.faults, []);
  await page.close();
});

it("a panel that is alone fills the row", { timeout }, async () => {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(`${server.url}/dashboard/alone`);
  const box = await page.getByRole("region", { name: "Load by site" }).boundingBox();
  assert.equal(box.width, 1440 - 2 * 20);
  await page.close();
});

it("nulls, 1e300, 100,000 rows, long and right-to-left names are shown as they are", { timeout }, async () => {
  const page = await browser.newPage({ viewport: { width: 1440, height: 2400 } });
  const console = watchConsole(page);
  await page.goto(`${server.url}/dashboard/bad-input`);
  const all = page.locator(".panel");
  await until("all panels are live", async () => {
    const states = await all.evaluateAll((panels) => panels.map((panel) => panel.dataset.state));
    return (states.length === 14 && states.every((state) => state === "live")) || states;
  });
  const has = (title, text) =>
    until(`${title} shows ${text}`, async () => {
      const shown = await readPanel(page, title);
      return text.test(shown.text) || shown.text;
    });
  await has("Nulls", /^–$/);
  await has("Null now", /^–/);
  await has("Null of all", /–%/);
  await has("Null ranks", /^a –$/);
  await has("Huge", /\de(29\d|300)/);
  await has("Huge bars", /\de(29\d|300)/);
  await has("Huge sum", /\de(29\d|300)/);
  await has("Name ranks", /שלום עולם/);
  await has("Name table", /<b>bold<\/b>/);
  await has("Many rows", /^row \d+ 100,002/);
  await has("Many as one", /^50,0\d\d/);
  await until("the lines left out are counted", async () => (await page.getByText("+99,992 more").count()) === 1);
  for (const width of [1440, 390]) {
    await page.setViewportSize({ width, height: 2400 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `at ${width} px the page is ${wide} px wider than the screen`);
  }
  assert.deepEqual(await findFaults(page), []);
  assert.deepEqual(console.faults, []);
  await page.close();
});

it("without JavaScript it says that it needs it", { timeout }, async () => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`${server.url}/dashboard/ops`);
  assert.match(await page.locator("body").innerText(), /needs JavaScript/);
  await context.close();
});

it("a page from before an upgrade goes on, and offers the new one", { timeout }, async () => {
  const page = await browser.newPage();
  const console = watchConsole(page);
  await page.goto(`${server.url}/dashboard/alone`);
  await until("it is live", async () => (await readPanel(page, "Load by site")).state === "live");
  // What an upgraded server answers: a page with a script of another name.
  await page.route(`${server.url}/`, (route) =>
    route.fulfill({ contentType: "text/html", body: '<script type="module" src="/assets/index-next.js"></script>' }),
  );
  console.expectLoss = true;
  await server.kill();
  await server.run();
  await page.getByRole("button", { name: "A new version is here: reload" }).waitFor();
  const { text } = await readPanel(page, "Load by site");
  await until("it goes on", async () => (await readPanel(page, "Load by site")).text !== text);
  assert.deepEqual(console.faults, []);
  await page.close();
});

it("who asks for little motion sees the picture change once a second", { timeout }, async () => {
  const changes = async (reducedMotion) => {
    const page = await browser.newPage({ reducedMotion });
    await page.goto(`${server.url}/dashboard/alone`);
    await until("it is live", async () => (await readPanel(page, "Load by site")).state === "live");
    const count = await page.locator(".key").evaluate(
      (key) =>
        new Promise((resolve) => {
          const frames = new Set();
          const observer = new MutationObserver(() => frames.add(performance.now()));
          observer.observe(key, { subtree: true, characterData: true, childList: true });
          setTimeout(() => resolve(frames.size), 4000);
        }),
    );
    await page.close();
    return count;
  };
  // The stand-in changes four times a second.
  const calm = await changes("reduce");
  assert.ok(calm >= 2 && calm <= 5, `${calm} changes in four seconds`);
  const usual = await changes("no-preference");
  assert.ok(usual > 8, `${usual} changes in four seconds`);
});
