/**
 * A cursor's text belongs to the server; a client stores it and gives it back. It may
 * rely on one thing: what follows the last `-` is a number that grows, and two cursors
 * that agree in all before it are positions in the same log.
 */

/** Whether `a` stands before, at or behind `b`; `undefined` where they are not of one log. */
export function compareCursors(a: string, b: string): number | undefined {
  if (a === b) return 0;
  const [logA, offsetA] = split(a);
  const [logB, offsetB] = split(b);
  if (logA !== logB || offsetA === undefined || offsetB === undefined) return undefined;
  return offsetA < offsetB ? -1 : offsetA > offsetB ? 1 : 0;
}

function split(cursor: string): [log: string, offset: bigint | undefined] {
  const at = cursor.lastIndexOf("-") + 1;
  const digits = cursor.slice(at);
  return [cursor.slice(0, at), /^\d+$/.test(digits) ? BigInt(digits) : undefined];
}
