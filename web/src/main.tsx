/**
 * The dashboard page.
 *
 * # Layout
 *
 *     main            which page the address asks for
 *     IndexPage       `/`: the dashboards
 *     DashboardPage   `/dashboard/{name}`: the panels of one
 *     Header          mark, dashboards, connection
 *     headline        the connection's state in words (pure)
 *     panel/          a panel's box, its states, and its hold on a feed
 *     chart/          line panels: rows → lines (pivot) → eight of them (choice) → canvas (plot)
 *     table/          table panels: rows → the first hundred (order) → words (cells)
 *     live            the socket, the clock, the rate
 *     frame           the one animation frame of the page
 *     format          numbers and times (pure)
 *     palette         tokens for canvases
 *     api             the HTTP part of the server
 *     tokens.css      every colour and size
 */
import { render } from "solid-js/web";
import { DashboardPage } from "./DashboardPage.tsx";
import { IndexPage } from "./IndexPage.tsx";
import "./tokens.css";
import "./page.css";

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
