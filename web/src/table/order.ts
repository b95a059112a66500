import type { Row, Table, Value } from "@tidewire/client";

/** A reason to show one row before another. */
interface SortKey {
  readonly column: number;
  readonly newestFirst: boolean;
}

/** How a table is ordered: by the times in its key, newest first, then by the rest of the key. */
export function sortKeys(table: Table): SortKey[] {
  const keys = table.key.map((name) => {
    const column = table.indexOf(name);
    return { column, newestFirst: table.columns[column]?.type === "timestamp" };
  });
  return [...keys.filter((key) => key.newestFirst), ...keys.filter((key) => !key.newestFirst)];
}

/**
 * The first `limit` rows in order. It looks at each row once and keeps only what may be
 * shown, so that a long feed costs little more than a walk over it.
 */
export function firstRows(table: Table, limit: number): Row[] {
  const keys = sortKeys(table);
  const compare = (a: Row, b: Row) => {
    for (const { column, newestFirst } of keys) {
      const order = compareValues(a[column] ?? null, b[column] ?? null);
      if (order !== 0) return newestFirst ? -order : order;
    }
    return 0;
  };
  let first: Row[] = [];
  let last: Row | undefined;
  for (const row of table.rows()) {
    if (last !== undefined && compare(row, last) >= 0) continue;
    first.push(row);
    // Sorting only when twice as many are at hand keeps the walk linear.
    if (first.length < limit * 2) continue;
    first = first.sort(compare).slice(0, limit);
    last = first.at(-1);
  }
  return first.sort(compare).slice(0, limit);
}

/** Numbers by size, also where they come as text because they are large; nulls last. */
function compareValues(a: Value, b: Value): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  if (typeof a !== "object" && typeof b !== "object") {
    const numbers = Number(a) - Number(b);
    if (!Number.isNaN(numbers) && numbers !== 0) return numbers;
    if (typeof a === typeof b) return a < b ? -1 : 1;
  }
  const [textA, textB] = [JSON.stringify(a), JSON.stringify(b)];
  return textA < textB ? -1 : textA > textB ? 1 : 0;
}
