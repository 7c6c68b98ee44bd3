/** Binary search in sorted columns. */

/** How many entries are below `wanted`: where it would be inserted. */
export function lowerBound(sorted: ArrayLike<number>, wanted: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The entry that is nearest to `wanted`; -1 when there is none. */
export function nearest(sorted: ArrayLike<number>, wanted: number): number {
  if (sorted.length === 0) return -1;
  const above = lowerBound(sorted, wanted);
  if (above === 0) return 0;
  if (above === sorted.length) return above - 1;
  const before = wanted - (sorted[above - 1] as number);
  return before <= (sorted[above] as number) - wanted ? above - 1 : above;
}
