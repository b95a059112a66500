import type { Column, Row, Value } from "@tidewire/client";
import { numberFormat, writeTime } from "../format.ts";
import { textOf } from "../value.ts";

/** How the cells of one column are written. */
export interface ColumnFormat {
  readonly name: string;
  /** Numbers stand under each other on the right, all else on the left. */
  readonly kind: "number" | "when" | "words";
  write(value: Value | undefined): string;
}

/** Formats a column for the rows that are shown: its numbers share their digits behind the point. */
export function columnFormat(column: Column, at: number, rows: readonly Row[], now: number): ColumnFormat {
  const { name, type } = column;
  const orNone = (write: (value: Value) => string) => (value: Value | undefined) =>
    value === null || value === undefined ? "–" : write(value);
  switch (type) {
    case "bigint":
    case "int":
      // A number that names something is no amount.
      if (/(^|_)id$/i.test(name)) return { name, kind: "number", write: orNone(String) };
      return { name, kind: "number", write: orNone(writeWhole) };
    case "double": {
      let most = 0;
      for (const row of rows) {
        const value = row[at];
        if (typeof value === "number" && Math.abs(value) > most) most = Math.abs(value);
      }
      const format = numberFormat(null, most);
      return { name, kind: "number", write: orNone((value) => format.write(Number(value))) };
    }
    case "timestamp":
      return { name, kind: "when", write: orNone((value) => writeTime(Number(value), now)) };
    case "json":
      return { name, kind: "words", write: orNone((value) => JSON.stringify(value)) };
    default:
      // Exact numbers keep all their digits.
      if (type.startsWith("decimal")) return { name, kind: "number", write: orNone(writeExact) };
      return { name, kind: "words", write: orNone(textOf) };
  }
}

/** All digits of a decimal, its whole part in groups. */
function writeExact(value: Value): string {
  const [, sign, whole = "", rest] = /^(-?)(\d+)(\.\d+)?$/.exec(String(value)) ?? [];
  return sign === undefined ? String(value) : `${sign === "" ? "" : "−"}${writeWhole(whole)}${rest ?? ""}`;
}

/** All digits of a whole number, also of one beyond 2^53, which comes as text. */
function writeWhole(value: Value): string {
  const text = String(value);
  return /^-?\d+$/.test(text) ? BigInt(text).toLocaleString("en").replace("-", "−") : text;
}
