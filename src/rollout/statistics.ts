/**
 * Estimates from several samples of each problem.
 *
 * @module
 */

/**
 * The unbiased estimate of the probability that at least one of k samples is right, from n samples of
 * which c were: 1 - C(n - c, k) / C(n, k) (Chen et al., arXiv 2107.03374).
 *
 * @throws RangeError when there are fewer than k samples.
 */
export function passAtK(n: number, c: number, k: number): number {
  if (k > n) throw new RangeError(`pass@${k} needs ${k} samples, there are ${n}`);
  if (n - c < k) return 1;
  let miss = 1;
  for (let i = n - c + 1; i <= n; i++) miss *= 1 - k / i;
  return 1 - miss;
}

/** 1, 2, 4, 8, … as far as n samples allow. */
export function powersUpTo(n: number): number[] {
  return Array.from({ length: Math.floor(Math.log2(n)) + 1 }, (_, i) => 2 ** i);
}

/**
 * Standard error of pass@1 over n problems with so many samples each. Samples of one problem hang together,
 * so it is that of the problems' means, whose spread pass@1 and pass@2 tell: E[p²] = 2 pass@1 - pass@2.
 *
 * @param passAt2 The unbiased estimate from the same samples; of no use where there is one of each.
 */
export function standardError(
  share: number,
  n: number,
  { samples, passAt2 }: { samples: number; passAt2: number } = { samples: 1, passAt2: share },
): number {
  const noise = passAt2 - share, spread = share - share ** 2 - noise;
  // With one sample no noise can be told from spread: together they are share (1 - share).
  return Math.sqrt(Math.max(0, spread + noise / samples) / n);
}
