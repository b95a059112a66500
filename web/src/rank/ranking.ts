import type { Row } from "@tidewire/client";
import { compareValues, type SortKey } from "../table/order.ts";
import { numberOf, textOf } from "../value.ts";

/** A row of a ranking. */
export interface Ranked {
  readonly name: string;
  readonly value: number | null;
}

/** Where a ranking's names and numbers stand in a row, and how it is ordered: greatest first unless said. */
export interface RankingColumns {
  readonly name: number;
  readonly value: number;
  readonly sort: SortKey | undefined;
}

/** The rows in order; of rows with one name the one changed last. */
export function rank(rows: Iterable<Row>, columns: RankingColumns): Ranked[] {
  const newest = new Map<string, Row>();
  for (const row of rows) newest.set(textOf(row[columns.name]), row);
  const { column, descending } = columns.sort ?? { column: columns.value, descending: true };
  return [...newest]
    .sort(([nameA, a], [nameB, b]) => {
      const order = compareValues(a[column] ?? null, b[column] ?? null, descending);
      return order === 0 ? (nameA < nameB ? -1 : 1) : order;
    })
    .map(([name, row]) => ({ name, value: numberOf(row[columns.value]) }));
}
