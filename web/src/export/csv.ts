import type { Column, Row, Value } from "@tidewire/client";
import type { PanelConfig } from "../api.ts";
import { windowOf } from "../chart/window.ts";
import type { Rows } from "../panel/rows.ts";
import { firstRows, sortKeys } from "../table/order.ts";
import { isTime, placeOf } from "../value.ts";
import type { View } from "../view.ts";

/** The rows of a panel as RFC 4180 text: the columns that it shows, in the range that it shows, oldest first. */
export function csvOf(panel: PanelConfig, rows: Rows, view: Pick<View, "address" | "range">): string {
  const named = panel.type === "table" ? panel.columns : [panel.x, panel.series, ...panel.y];
  const names = named.filter((name) => name !== null);
  const columns = (names.length === 0 ? rows.columns.map((column) => column.name) : names).flatMap((name) => {
    const at = rows.indexOf(name);
    const column = rows.columns[at];
    return column === undefined ? [] : [{ at, ...column }];
  });
  const lines = [columns.map((column) => column.name).join(",")];
  for (const row of chosen(panel, rows, view))
    lines.push(columns.map((column) => cell(row[column.at], column)).join(","));
  return `${lines.map((line) => `${line}\r\n`).join("")}`;
}

function chosen(panel: PanelConfig, rows: Rows, view: Pick<View, "address" | "range">): Row[] {
  const all = [...rows];
  if (panel.type === "table") return firstRows(all, sortKeys(rows, panel.sort), panel.rows ?? all.length);
  const x = panel.x === null ? -1 : rows.indexOf(panel.x);
  if (!isTime(rows.columns[x]?.type)) return all;
  const at = (row: Row) => placeOf(row[x]) ?? Number.NaN;
  const timed = all.filter((row) => !Number.isNaN(at(row))).sort((a, b) => at(a) - at(b));
  const times = [...new Set(timed.map(at))];
  const [from, to] = windowOf(times, true, view.address().zoom, view.range()).range;
  return timed.filter((row) => at(row) >= from && at(row) <= to);
}

function cell(value: Value | undefined, column: Column): string {
  if (value === null || value === undefined) return "";
  const time = column.type === "timestamp" ? new Date(Number(value)) : undefined;
  if (time !== undefined && !Number.isNaN(time.getTime())) return time.toISOString();
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
