/** Philox4x32-10, after Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). */

/** High and low words of a 32-bit product. */
function multiply(a: bigint, b: number): [number, number] {
  const product = a * BigInt(b);
  return [Number(product >> 32n), Number(product & 0xffffffffn)];
}

/** The four words of the block at `counter` under `key`. */
export function philox4x32(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter;
  for (let round = 0; round < 10; round++) {
    const k0 = (key[0] + round * 0x9e3779b9) >>> 0, k1 = (key[1] + round * 0xbb67ae85) >>> 0;
    const [high0, low0] = multiply(0xd2511f53n, c0), [high1, low1] = multiply(0xcd9e8d57n, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
  }
  return [c0, c1, c2, c3];
}

/** The uniform number in [0, 1) that sampling draws for one position of one sequence. */
export function uniformAt(
  seed: bigint,
  sequence: readonly [low: number, high: number],
  position: number,
): number {
  const key = [Number(seed & 0xffffffffn), Number(seed >> 32n)];
  const [word] = philox4x32([position, 0, sequence[0] >>> 0, sequence[1] >>> 0], key);
  return (word >>> 8) * 2 ** -24;
}
