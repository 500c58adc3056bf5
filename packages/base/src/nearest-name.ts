/**
 * The name of `names` that `wanted` was most likely meant to be, or `undefined` when none is close:
 * at most a third of its letters wrong, missing, added or swapped; case does not count.
 */
export function nearestName(wanted: string, names: readonly string[]): string | undefined {
  const target = wanted.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(target.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(target, name.toLowerCase());
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** How many letters to insert, remove, replace or swap with their neighbour, at least. */
function editDistance(left: string, right: string): number {
  const width = right.length + 1;
  const table = new Uint16Array((left.length + 1) * width);
  const at = (row: number, column: number): number => table[row * width + column] ?? 0;
  for (let row = 0; row <= left.length; row++) {
    for (let column = 0; column <= right.length; column++) {
      table[row * width + column] = distanceAt(left, right, row, column, at);
    }
  }
  return at(left.length, right.length);
}

function distanceAt(
  left: string,
  right: string,
  row: number,
  column: number,
  at: (row: number, column: number) => number,
): number {
  if (row === 0) return column;
  if (column === 0) return row;
  const differs = left[row - 1] === right[column - 1] ? 0 : 1;
  const distance = Math.min(
    at(row - 1, column) + 1,
    at(row, column - 1) + 1,
    at(row - 1, column - 1) + differs,
  );
  const swapped =
    row > 1 &&
    column > 1 &&
    left[row - 1] === right[column - 2] &&
    left[row - 2] === right[column - 1];
  return swapped ? Math.min(distance, at(row - 2, column - 2) + 1) : distance;
}
