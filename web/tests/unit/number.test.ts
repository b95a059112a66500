import { type Row, type RowChange, Table } from "@tidewire/client";
import { describe, expect, it } from "vitest";
import { readAddress, readSpan, spanText, writeAddress } from "../../src/address.ts";
import { type Combine, wholePanel } from "../../src/api.ts";
import { csvOf } from "../../src/export/csv.ts";
import { levelOf, limitPassed } from "../../src/panel/level.ts";
import { Rows } from "../../src/panel/rows.ts";
import { rank } from "../../src/rank/ranking.ts";
import { Buckets } from "../../src/stat/buckets.ts";
import { changeOf } from "../../src/stat/change.ts";

const insert = (...rows: Row[]) => ({
  replaced: false,
  rows: rows.map((after): RowChange => ({ before: undefined, after })),
});

describe("the rows of an x become one number", () => {
  const rows: Row[] = [
    [10, 1, "a"],
    [20, 4, "a"],
    [20, "9", "b"],
    [20, 2, "c"],
    [20, null, "d"],
  ];
  const numbers = (how: Combine, x: number | undefined) => {
    const buckets = new Buckets({ x, y: 1 }, how);
    buckets.apply({ replaced: true, rows: [] }, rows);
    return buckets.x.map((_, at) => buckets.at(at));
  };

  it.each<[Combine, (number | null)[], (number | null)[]]>([
    ["last", [1, 2], [2]],
    ["sum", [1, 15], [16]],
    ["mean", [1, 5], [4]],
    ["min", [1, 2], [1]],
    ["max", [1, 9], [9]],
    ["count", [1, 4], [5]],
  ])("%s", (how, withX, without) => {
    expect(numbers(how, 0)).toEqual(withX);
    expect(numbers(how, undefined)).toEqual(without);
  });

  it("which follows changes as if made anew", () => {
    const buckets = new Buckets({ x: 0, y: 1 }, "sum");
    const [first, second] = [[10, 1] as Row, [20, 2] as Row];
    buckets.apply(insert(first, second, [10, 5]), []);
    expect([buckets.x, buckets.at(0), buckets.at(1)]).toEqual([[10, 20], 6, 2]);
    buckets.apply({ replaced: false, rows: [{ before: first, after: [30, 1] }] }, []);
    buckets.apply({ replaced: false, rows: [{ before: second, after: undefined }] }, []);
    expect([buckets.x, buckets.at(0), buckets.at(1)]).toEqual([[10, 30], 5, 1]);
  });

  it("and the number of a time is that of the newest x at or before it", () => {
    const buckets = new Buckets({ x: 0, y: 1 }, "last");
    buckets.apply(insert([10, 1], [20, 2]), []);
    expect([5, 10, 15, 20, 25].map((x) => buckets.before(x))).toEqual([-1, 0, 0, 1, 1]);
  });

  it("or none, where all are null or their sum is no number", () => {
    const buckets = new Buckets({ x: undefined, y: 0 }, "sum");
    expect(buckets.at(0)).toBeNull();
    buckets.apply(insert([null]), []);
    expect(buckets.at(0)).toBeNull();
    buckets.apply(insert([1.7e308], [1.7e308, 1]), []);
    expect(buckets.at(0)).toBeNull();
  });
});

describe("a change", () => {
  const write = (value: number) => value.toFixed(2);
  const change = (now: number, before: number, panel = {}) =>
    changeOf(now, before, wholePanel({ compare: 300_000, ...panel }), write);

  it("is in percent, or a difference where that would mislead", () => {
    expect(change(103.1, 100)).toEqual({ text: "▲ 3.1 %", against: "against 5 m ago", tone: undefined });
    expect(change(0.42, 0.31, { unit: "%" }).text).toBe("▲ 0.11");
    expect(change(2, 0).text).toBe("▲ 2.00");
    expect(change(-50, -100).text).toBe("▲ 50.0 %");
    expect(change(100, 100).text).toBe("= unchanged");
    expect(change(1e300, 1e-300).text).toBe("▲ 99,999 %");
  });

  it("is good or bad only by thresholds", () => {
    expect([change(2, 1, { warn: 5 }).tone, change(1, 2, { warn: 5 }).tone]).toEqual(["bad", "ok"]);
    expect([change(2, 1, { warn: 5, bad: 3 }).tone, change(1, 2, { warn: 5, bad: 3 }).tone]).toEqual(["ok", "bad"]);
  });
});

describe("a level", () => {
  it("is that of the threshold that was passed, high or low", () => {
    const high = { warn: 80, bad: 95 };
    expect([undefined, 79, 80, 95].map((value) => levelOf(value, high))).toEqual(["ok", "ok", "warn", "bad"]);
    const low = { warn: 10, bad: 5 };
    expect([11, 10, 5].map((value) => levelOf(value, low))).toEqual(["ok", "warn", "bad"]);
    expect(levelOf(7, { warn: null, bad: null })).toBe("ok");
  });

  it("is said in words", () => {
    const write = (value: number) => value.toFixed(2);
    expect(limitPassed(0.42, { warn: 0.4, bad: 0.8 }, write)).toBe("over the limit of 0.4");
    expect(limitPassed(4, { warn: 10, bad: 5 }, write)).toBe("under the limit of 5");
    expect(limitPassed(10, { warn: 10, bad: 5 }, write)).toBe("at the limit of 10");
    expect(limitPassed(1, { warn: 10, bad: 50 }, write)).toBe("");
  });
});

describe("the rows that a panel shows", () => {
  const table = new Table(
    ["site", "n"].map((name) => ({ name, type: "text" })),
    ["site"],
    100,
  );
  const [a, b, c]: Row[] = [
    ["a", 1],
    ["b", 2],
    ["c", 1],
  ];
  for (const row of [a, b, c]) if (row) table.upsert(row);

  it("are those whose columns are written as one of the values", () => {
    expect([...new Rows(table, {})]).toEqual([a, b, c]);
    expect([...new Rows(table, { n: ["1"] })]).toEqual([a, c]);
    expect([...new Rows(table, { n: ["1"], site: ["c", "d"] })]).toEqual([c]);
    const none = new Rows(table, { site: ["d"] });
    expect([none.size, none.inFeed]).toEqual([0, 3]);
  });

  it("appear and go by changes", () => {
    const rows = new Rows(table, { n: ["1"] });
    const filtered = rows.filter({
      replaced: false,
      rows: [
        { before: a, after: ["a", 2] },
        { before: b, after: ["b", 1] },
        { before: b, after: ["b", 3] },
      ],
    });
    expect(filtered.rows).toEqual([
      { before: a, after: undefined },
      { before: undefined, after: ["b", 1] },
    ]);
  });
});

describe("a ranking", () => {
  const rows: Row[] = [
    ["a", 1, 9],
    ["b", 3, 5],
    ["a", 2, 7],
    ["c", null, 6],
  ];
  const columns = { name: 0, value: 1, sort: undefined };

  it("has the newest row of each name, the greatest first", () => {
    expect(rank(rows, columns)).toEqual([
      { name: "b", value: 3 },
      { name: "a", value: 2 },
      { name: "c", value: null },
    ]);
  });

  it("is ordered by another column where that is asked for", () => {
    const names = rank(rows, { ...columns, sort: { column: 2, descending: false } }).map(({ name }) => name);
    expect(names).toEqual(["b", "c", "a"]);
  });
});

describe("the address", () => {
  it("keeps a view, and what else it had", () => {
    const view = { range: 300_000, zoom: [1000, 2000.4] as const, panel: "Load & more", kiosk: true };
    const search = writeAddress("?other=1", view);
    expect(search).toBe("?other=1&range=5m&zoom=1000-2000&panel=Load+%26+more&kiosk");
    expect(readAddress(search)).toEqual({ ...view, zoom: [1000, 2000] });
    const nothing = { range: undefined, zoom: undefined, panel: undefined, kiosk: false };
    expect(writeAddress(search, nothing)).toBe("?other=1");
    expect(readAddress("")).toEqual(nothing);
  });

  it("ignores what is no view", () => {
    expect(readAddress("?range=soon&zoom=9-1")).toMatchObject({ range: undefined, zoom: undefined });
  });

  it("writes spans as the configuration does", () => {
    expect([90_000, 900_000, 3_600_000, 604_800_000, 5].map(spanText)).toEqual(["90s", "15m", "1h", "7d", "5ms"]);
    expect(["90s", "15m", "1h", "7d", "5ms"].map(readSpan)).toEqual([90_000, 900_000, 3_600_000, 604_800_000, 5]);
    expect([null, "", "0s", "5", "m", "1.5h"].map(readSpan)).toEqual(new Array(6).fill(undefined));
  });
});

describe("a panel as CSV", () => {
  const table = new Table(
    [
      { name: "site", type: "text" },
      { name: "at", type: "timestamp" },
      { name: "load", type: "double" },
      { name: "more", type: "json" },
    ],
    ["site", "at"],
    100,
  );
  const minute = 60_000;
  for (let at = 3; at >= 0; at--) table.upsert(['say "a, b"', at * minute, at === 2 ? null : at / 2, { a: 1 }]);
  const rows = new Rows(table, {});
  const view = (zoom: readonly [number, number] | undefined) => ({
    address: () => ({ range: undefined, zoom, panel: undefined, kiosk: false }),
    range: () => 60 * minute,
  });

  it("has the columns that it shows, in the range that it shows, oldest first", () => {
    const panel = wholePanel({ type: "line", x: "at", y: ["load"], series: "site" });
    expect(csvOf(panel, rows, view([minute, 2 * minute])).split("\r\n")).toEqual([
      "at,site,load",
      '1970-01-01T00:01:00.000Z,"say ""a, b""",0.5',
      '1970-01-01T00:02:00.000Z,"say ""a, b""",',
      "",
    ]);
    expect(csvOf(panel, rows, view(undefined)).split("\r\n")).toHaveLength(6);
  });

  it("of a table has all its columns, in its order", () => {
    const csv = csvOf(wholePanel({ type: "table", rows: 1 }), rows, view(undefined));
    expect(csv).toBe('site,at,load,more\r\n"say ""a, b""",1970-01-01T00:03:00.000Z,1.5,"{""a"":1}"\r\n');
  });
});
