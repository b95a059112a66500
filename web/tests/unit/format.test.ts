import { describe, expect, it } from "vitest";
import { numberFormat, withoutZeros, writeSpan, writeTime } from "../../src/format.ts";

const write = (unit: string | null, scale: number, value: number, whole = false) => {
  const format = numberFormat(unit, scale, whole);
  return [format.write(value), format.unit];
};

describe("a number", () => {
  it.each([
    ["%", 100, 71.234, "71.2", "%"],
    ["ms", 20, 11.84, "11.8", "ms"],
    ["ms", 5, 0.4, "0.40", "ms"],
    ["ms", 12_000, 1500, "1.5", "s"],
    ["us", 0.5, 0.25, "250.0", "ns"],
    ["s", 7200, 3600, "3,600", "s"],
    ["s", 0, 0, "0", "s"],
    [null, 50_000, 48_213.4, "48,213", ""],
    [null, 0.05, 0.0123, "0.0123", ""],
    [null, 0, 0, "0", ""],
    ["EUR", 200, 142.1, "142.10", "EUR"],
    ["$", 20_000, -19_999.999, "−20,000.00", "$"],
    ["B", 900, 512, "512", "B"],
    ["B", 8 * 1024 ** 2, 4.11 * 1024 ** 2, "4.11", "MiB"],
    ["B/s", 8 * 1024 ** 2, 512 * 1024, "0.50", "MiB/s"],
    ["bytes", 2 ** 90, 2 ** 60, "1", "EiB"],
    [null, 4e9, 1.284e9, "1.28 G", ""],
    [null, 4e12, 3.2e12, "3.20 T", ""],
    [null, 1e300, 1e300, "1.00e300", ""],
    ["%", 10, -0.001, "0.0", "%"],
  ])("with unit %s up to %d: %d is %s", (unit, scale, value, text, shown) => {
    expect(write(unit, scale, value)).toEqual([text, shown]);
  });

  it("that counts has no digits behind the point", () => {
    expect(write(null, 8, 3, true)).toEqual(["3", ""]);
  });

  it("keeps its width while it changes", () => {
    const { write } = numberFormat("%", 100);
    expect(new Set([10, 42.25, 71.2, 99.99].map((value) => write(value).length)).size).toBe(2);
    expect(write(10)).toBe("10.0");
  });

  it("on an axis loses the zeros that all have", () => {
    expect(withoutZeros(["0.00", "20.00", "40.00"])).toEqual(["0", "20", "40"]);
    expect(withoutZeros(["0.00", "2.50"])).toEqual(["0.0", "2.5"]);
    expect(withoutZeros(["100", "200"])).toEqual(["100", "200"]);
    expect(withoutZeros([])).toEqual([]);
  });
});

describe("a time", () => {
  const now = new Date(2026, 2, 20, 9, 46, 30).getTime();

  it("is written in 24 hours, with the day only where it is another", () => {
    expect(writeTime(new Date(2026, 2, 20, 0, 5, 7).getTime(), now)).toBe("00:05:07");
    expect(writeTime(new Date(2026, 2, 19, 23, 5, 7).getTime(), now)).toBe("19 Mar 23:05:07");
    expect(writeTime(new Date(2001, 0, 2, 3, 4, 5).getTime(), now)).toBe("2 Jan 2001 03:04:05");
    expect(writeTime(9e15, now)).toBe("9000000000000000");
  });

  it("to wait ends with one second, never with none", () => {
    expect([-5, 0, 1, 2001, 119_000, 180_000, 3 * 3600_000].map(writeSpan)).toEqual([
      "1 s",
      "1 s",
      "1 s",
      "3 s",
      "119 s",
      "3 min",
      "3 h",
    ]);
  });
});
