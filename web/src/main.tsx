/**
 * The dashboard page.
 *
 * # Layout
 *
 *     main            which page the address asks for
 *     IndexPage       `/`: dashboards, feeds, streams, and how they stand
 *     DashboardPage   `/dashboard/{name}`: the panels of one
 *     Header          mark, dashboards, range, pause, connection
 *     headline        the page's state in words (pure)
 *     board           what the panels of a dashboard share
 *     view, address   range, zoom, open panel, pause; what of it stands in the address (pure)
 *     keys            the keyboard
 *     panel/          a panel's box, its states, and its hold on a feed
 *     chart/          lines, areas, bars: rows → lines (pivot) → eight of them (choice)
 *                     → the part in sight (window) → canvas (plot)
 *     stat/, gauge/   one number: rows → a number for each x (buckets)
 *     rank/           bars over anything but time
 *     table/          rows → the first hundred (order) → words (cells)
 *     export/         a panel as CSV and as PNG
 *     live            the socket, the clock, the rate
 *     frame           the one animation frame of the page
 *     format          numbers and times (pure)
 *     theme, palette  light and dark; tokens for canvases
 *     upgrade         whether the server has a newer page
 *     api             the HTTP part of the server
 *     tokens.css      every colour and size
 */
import { render } from "solid-js/web";
import { DashboardPage } from "./DashboardPage.tsx";
import { IndexPage } from "./IndexPage.tsx";
import { applyTheme } from "./theme.ts";
import "./tokens.css";
import "./page.css";
import "./index.css";
import "./numbers.css";
import "./tables.css";
import "./panels.css";

applyTheme();
const page = document.getElementById("page");
const name = /^\/dashboard\/([^/]+)\/?$/.exec(location.pathname)?.[1];

if (page !== null) {
  render(() => (name === undefined ? <IndexPage /> : <DashboardPage name={decode(name)} />), page);
}

/** A name that is not well-formed stays as it is: the server then says that it does not know it. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
