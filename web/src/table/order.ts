import type { Column, Row, Value } from "@tidewire/client";

/** A reason to show one row before another. */
export interface SortKey {
  readonly column: number;
  readonly descending: boolean;
}

/** The key of a feed that keeps events as they come: the greatest is the newest. */
const ROW_NUMBER = "_seq";

/** Rows with columns: a table, or the part of one that a panel shows. */
interface Sortable {
  readonly columns: readonly Column[];
  readonly key: readonly string[];
  indexOf(column: string): number;
}

/** What `sort: column` or `sort: -column` means. */
export function sortKeyOf(sort: string | null, table: Sortable): SortKey | undefined {
  if (sort === null) return undefined;
  const descending = sort.startsWith("-");
  return { column: table.indexOf(descending ? sort.slice(1) : sort), descending };
}

/**
 * How a table is ordered: as its configuration says, then by the times in its key or
 * the rows' numbers, newest first, then by the rest of the key.
 */
export function sortKeys(table: Sortable, sort: string | null = null): SortKey[] {
  const first = sortKeyOf(sort, table);
  const keys = table.key.map((name) => {
    const column = table.indexOf(name);
    return { column, descending: table.columns[column]?.type === "timestamp" || name === ROW_NUMBER };
  });
  return [
    ...(first === undefined ? [] : [first]),
    ...keys.filter((key) => key.descending),
    ...keys.filter((key) => !key.descending),
  ];
}

/**
 * The first `limit` rows in order. It looks at each row once and keeps only what may be
 * shown, so that a long feed costs little more than a walk over it.
 */
export function firstRows(rows: Iterable<Row>, keys: readonly SortKey[], limit: number): Row[] {
  const compare = (a: Row, b: Row) => {
    for (const { column, descending } of keys) {
      const order = compareValues(a[column] ?? null, b[column] ?? null, descending);
      if (order !== 0) return order;
    }
    return 0;
  };
  let first: Row[] = [];
  let last: Row | undefined;
  for (const row of rows) {
    if (last !== undefined && compare(row, last) >= 0) continue;
    first.push(row);
    // Sorting only when twice as many are at hand keeps the walk linear.
    if (first.length < limit * 2) continue;
    first = first.sort(compare).slice(0, limit);
    last = first.at(-1);
  }
  return first.sort(compare).slice(0, limit);
}

/** Numbers by size, also where they come as text because they are large; nulls last in both directions. */
export function compareValues(a: Value, b: Value, descending: boolean): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  const order = ascending(a, b);
  return descending ? -order : order;
}

function ascending(a: NonNullable<Value>, b: NonNullable<Value>): number {
  if (typeof a !== "object" && typeof b !== "object") {
    const numbers = Number(a) - Number(b);
    if (!Number.isNaN(numbers) && numbers !== 0) return numbers;
    if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
  }
  const [textA, textB] = [JSON.stringify(a), JSON.stringify(b)];
  return textA < textB ? -1 : textA > textB ? 1 : 0;
}
