// States that the demo never shows, on the stand-in's second dashboard.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { isStandIn, openBrowser, readPanel, Server, until, watchConsole } from "./harness.mjs";

const skip = isStandIn ? false : "needs the stand-in's dashboards";
let browser;
let server;

before(async () => {
  if (skip) return;
  [browser, server] = await Promise.all([openBrowser(), Server.start()]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

it("a panel says why it shows nothing, and the others go on", { skip, timeout: 60_000 }, async () => {
  const page = await browser.newPage();
  const console = watchConsole(page);
  await page.goto(`${server.url}/dashboard/edges`);
  const says = async (title, state, text) => {
    const panel = page.getByRole("region", { name: title, exact: true });
    await until(`${title} is ${state}`, async () => (await readPanel(page, title)).state === state);
    assert.match(await panel.textContent(), text);
  };
  await says("Nothing yet", "empty", /No rows yet.*\{"name":"a","value":1\.5\}.*tidewire push readings --url/);
  await says("A feed that is not there", "error", /no feed missing.*Correct feed:/);
  await says("A column that is not there", "error", /no column valve.*name, window_start, value/);
  await says("All columns", "live", /page_views/);
  await says("Load of many hosts", "live", /\+5 more/);
  assert.deepEqual(console.faults, []);
});

it("a panel that is alone fills the row", { skip, timeout: 60_000 }, async () => {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(`${server.url}/dashboard/alone`);
  const box = await page.getByRole("region", { name: "Load by site" }).boundingBox();
  assert.equal(box.width, 1440 - 2 * 20);
});
