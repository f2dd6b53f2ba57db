/**
 * Sums without end whose terms fall at least geometrically.
 *
 * @module
 */
import { logSum, Reals } from "./ball.ts";
import { add, type Complex, NOWHERE, real } from "./complex.ts";

/** Terms are looked at in blocks, so that signs, zeros and periods within one do not matter. */
const BLOCK = 12;
const MAX_BLOCKS = 300;
/** Precision beyond what is asked for, so that the last terms are still known by their size. */
const GUARD = 64;
/** The largest ratio of a block to the one before that is summed: 0.94 from term to term. */
const MAX_RATIO = 0.5;

/**
 * Log2 of a bound of what follows after the last block, or `undefined` where none is seen. The ratio
 * of blocks is taken to rise at most like that of the terms x^n/n^k, whose sum is bounded so.
 *
 * @param sizes Log2 of the sizes of the blocks.
 * @param noise Log2 of the size below which a block says nothing.
 */
function tail(sizes: readonly number[], noise: number): number | undefined {
  const n = sizes.length;
  if (n < 3) return undefined;
  const [before, middle, last] = sizes.slice(-3);
  const known = sizes.findLast((size) => size > noise);
  // All noise after something: the terms fell too fast for a ratio.
  if (known !== undefined && Math.max(before, middle, last) <= noise && last !== -Infinity) {
    return noise + 16;
  }
  if (!Number.isFinite(before + middle + last) || middle <= noise) return undefined;
  const ratio = 2 ** (last - middle), earlier = 2 ** (middle - before);
  // The first ratios of 1/n^k rise too steeply to tell where they lead.
  if (ratio > earlier && n < 8) return undefined;
  const limit = ratio + 4 * n * Math.max(0, ratio - earlier);
  return limit <= MAX_RATIO ? last + Math.log2(limit / (1 - limit)) : undefined;
}

/**
 * The sum of `term(first) + term(first + 1) + ...`, off by no more than about 2^-bits; nowhere where
 * the terms are not seen to fall geometrically.
 *
 * @param at Gives the terms to so many bits.
 */
export function infiniteSum(
  first: bigint,
  bits: number,
  at: (bits: number) => (index: bigint) => Complex,
): Complex {
  const r = new Reals(bits + GUARD), term = at(bits + GUARD);
  const sizes: number[] = [];
  let sum = real(r.fraction(0n)), index = first;
  while (sizes.length < MAX_BLOCKS) {
    let size = -Infinity;
    for (let i = 0; i < BLOCK; i++) {
      const value = term(index++);
      if (Number.isNaN(value.re.err + value.im.err)) return NOWHERE;
      size = logSum(size, r.size(value.re), r.size(value.im));
      sum = add(r, sum, value);
    }
    sizes.push(size);
    const rest = tail(sizes, -bits - GUARD / 2);
    if (rest !== undefined && rest <= -bits) return rounded(sum, rest + bits);
  }
  return NOWHERE;
}

/** Without the guard, and with the error of the tail, given in units of what remains. */
function rounded({ re, im }: Complex, tail: number): Complex {
  const cut = (ball: typeof re) => ({
    mid: ball.mid >> BigInt(GUARD),
    err: logSum(ball.err - GUARD, 0, tail),
  });
  const isReal = im.mid === 0n && im.err === -Infinity;
  return { re: cut(re), im: isReal ? im : cut(im) };
}
