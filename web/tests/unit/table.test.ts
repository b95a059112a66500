import { type Column, type Row, Table } from "@tidewire/client";
import { describe, expect, it } from "vitest";
import { columnFormat } from "../../src/table/cells.ts";
import { firstRows as firstOf, sortKeys } from "../../src/table/order.ts";

const COLUMNS: Column[] = [
  { name: "host", type: "text" },
  { name: "at", type: "timestamp" },
  { name: "n", type: "bigint" },
];

function table(rows: Row[], key: string[]): Table {
  const made = new Table(COLUMNS, key, 10_000);
  for (const row of rows) made.upsert(row);
  return made;
}

const firstRows = (made: Table, limit: number, sort: string | null = null) =>
  firstOf(made.rows(), sortKeys(made, sort), limit);

describe("the order of rows", () => {
  it("is newest first by the time in the key, then by the rest of the key", () => {
    const rows: Row[] = [
      ["b", 10, 1],
      ["a", 20, 2],
      ["b", 20, 3],
      ["a", 10, 4],
    ];
    expect(firstRows(table(rows, ["host", "at"]), 10).map((row) => row[2])).toEqual([2, 3, 4, 1]);
  });

  it("is by size for numbers, also for those beyond 2^53; nulls come last", () => {
    const rows: Row[] = [
      ["a", 0, null],
      ["b", 0, "9007199254740993"],
      ["c", 0, 10],
      ["d", 0, 9],
    ];
    expect(firstRows(table(rows, ["n"]), 10).map((row) => row[0])).toEqual(["d", "c", "b", "a"]);
  });

  it("is as the configuration says, nulls last in both directions, and by the key where that is the same", () => {
    const rows: Row[] = [
      ["a", 10, null],
      ["b", 20, 3],
      ["c", 30, 7],
      ["d", 40, 3],
    ];
    const names = (sort: string) => firstRows(table(rows, ["host"]), 10, sort).map((row) => row[0]);
    expect(names("n")).toEqual(["b", "d", "c", "a"]);
    expect(names("-n")).toEqual(["c", "b", "d", "a"]);
  });

  it("is the same for the first few of many as for all of them", () => {
    const rows = Array.from({ length: 1000 }, (_, at): Row => [`h${(at * 7919) % 1000}`, (at * 104729) % 500, at]);
    const all = firstRows(table(rows, ["host", "at"]), 5000);
    expect(all).toHaveLength(1000);
    expect(firstRows(table(rows, ["host", "at"]), 30)).toEqual(all.slice(0, 30));
  });
});

describe("a cell", () => {
  const write = (type: string, values: Row, value = values[0]) =>
    columnFormat(
      { name: "c", type },
      0,
      values.map((v) => [v]),
      0,
    ).write(value);

  it("is written by its column's type", () => {
    expect(write("bigint", ["9007199254740993"])).toBe("9,007,199,254,740,993");
    expect(write("int", [-1200])).toBe("−1,200");
    expect(write("double", [2, 1234.5])).toBe("2");
    expect(write("double", [2, 12.5])).toBe("2.0");
    expect(write("decimal(18,2)", ["-1234567.50"])).toBe("−1,234,567.50");
    expect(write("text[]", [["a", null]])).toBe('["a",null]');
    expect(write("text", [""])).toBe("");
    expect(write("boolean", [true])).toBe("true");
    expect(write("json", [{ a: [1] }])).toBe('{"a":[1]}');
    expect(write("double", [null])).toBe("–");
  });
});
