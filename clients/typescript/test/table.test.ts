import { describe, expect, it } from "vitest";
import { compareCursors } from "../src/cursor.ts";
import type { Value } from "../src/protocol.ts";
import { type RowChange, Table } from "../src/table.ts";

const columns = (...names: string[]) => names.map((name) => ({ name, type: "text" }));

describe("a table", () => {
  it("finds rows by keys that look alike", () => {
    const table = new Table(columns("a", "b", "n"), ["a", "b"], 10);
    const keys: Value[][] = [
      ["x", "y,z"],
      ["x,y", "z"],
      [1, "1"],
      ["1", 1],
      [null, ""],
      ["", null],
    ];
    for (const [at, key] of keys.entries()) table.upsert([...key, at]);
    expect(table.size).toBe(keys.length);
    expect(keys.map((key) => table.get(key)?.[2])).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("keeps a key of one column by its value", () => {
    const table = new Table(columns("n", "id"), ["id"], 10);
    table.upsert(["a", "9007199254740993"]);
    table.upsert(["b", 9007199254740991]);
    table.upsert(["c", "9007199254740993"]);
    expect([...table.rows()]).toEqual([
      ["b", 9007199254740991],
      ["c", "9007199254740993"],
    ]);
  });

  it("holds no more than its limit: the row unchanged for longest goes, counted and told", () => {
    const table = new Table(columns("id", "n"), ["id"], 2);
    const told: RowChange[] = [];
    table.upsert(["a", 1]);
    table.upsert(["b", 2]);
    table.upsert(["a", 3]);
    table.upsert(["c", 4], (change) => told.push(change));
    expect([...table.rows()]).toEqual([
      ["a", 3],
      ["c", 4],
    ]);
    expect(told).toEqual([
      { before: undefined, after: ["c", 4] },
      { before: ["b", 2], after: undefined },
    ]);
    expect(table.dropped).toBe(1);
  });
});

describe("cursors", () => {
  it("of one log are ordered by their number, however long", () => {
    expect(compareCursors("1-a-9", "1-a-10")).toBe(-1);
    expect(compareCursors("1-a-18446744073709551615", "1-a-18446744073709551614")).toBe(1);
    expect(compareCursors("1-a-7", "1-a-07")).toBe(0);
  });

  it("of different logs, or of another form, have no order", () => {
    expect(compareCursors("1-a-9", "2-a-10")).toBeUndefined();
    expect(compareCursors("1-a-9", "1-b-9")).toBeUndefined();
    expect(compareCursors("x", "y")).toBeUndefined();
    expect(compareCursors("same", "same")).toBe(0);
  });
});
