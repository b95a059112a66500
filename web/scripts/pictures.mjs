// Takes the pictures of docs/pictures from the running demo: TIDEWIRE_BIN, a built `tidewire`.
//
//     TIDEWIRE_BIN=… node scripts/pictures.mjs [seconds]
//
// `seconds` is how long the demo runs first, so that its lines have a past; 180 unless said.
import { mkdir } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isStandIn, openBrowser, Server, until, watchConsole } from "../tests/browser/harness.mjs";

if (isStandIn) {
  console.error("Set TIDEWIRE_BIN to a built tidewire: pictures show the real demo. `make pictures` does that.");
  process.exit(1);
}
const seconds = Number(process.argv[2] ?? 180);
const FOLDER = fileURLToPath(new URL("../../docs/pictures/", import.meta.url));
const DESK = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };

const [browser, server] = await Promise.all([openBrowser(), Server.start(), mkdir(FOLDER, { recursive: true })]);
try {
  console.log(`The demo runs for ${seconds} s first.`);
  await pause(seconds * 1000);
  const { dashboards } = await server.get("/v1/dashboards");
  const { name, panels } = await server.get(`/v1/dashboards/${dashboards[0].name}`);
  const dashboard = `/dashboard/${encodeURIComponent(name)}`;
  const chart = panels.find(({ type }) => type === "line") ?? panels[0];
  const opened = `${dashboard}?panel=${encodeURIComponent(chart.title)}`;
  await take("dashboard-dark", dashboard, DESK, "dark");
  await take("dashboard-light", dashboard, DESK, "light");
  await take("dashboard-dark-whole", dashboard, DESK, "dark", true);
  await take("phone-dark", dashboard, PHONE, "dark");
  await take("phone-light", dashboard, PHONE, "light");
  await take("phone-light-whole", dashboard, PHONE, "light", true);
  await take("panel-dark", opened, DESK, "dark");
  await take("index-dark", "/", DESK, "dark");
  await take("index-light", "/", DESK, "light");
} finally {
  await browser.close();
  await server.stop();
}

async function take(name, path, viewport, colorScheme, whole = false) {
  const page = await browser.newPage({ viewport, colorScheme, deviceScaleFactor: 2 });
  const { faults } = watchConsole(page);
  await page.goto(server.url + path);
  await page.evaluate(() => document.fonts.ready);
  // A picture of the whole page must have all panels in sight, for those out of sight are drawn seldom.
  if (whole) {
    await page.locator(".panel").first().waitFor();
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ ...viewport, height });
  }
  await until("all panels are live", async () => {
    const states = await page.locator(".panel:visible").evaluateAll((all) => all.map((panel) => panel.dataset.state));
    return states.every((state) => state === "live") || states;
  });
  // The way to the server is measured, and rates are known, after a few seconds.
  await pause(7000);
  await page.screenshot({ path: `${FOLDER}${name}.png` });
  await page.close();
  if (faults.length > 0) throw new Error(`${name}: the console is not silent: ${faults.join("; ")}`);
  console.log(`docs/pictures/${name}.png`);
}
