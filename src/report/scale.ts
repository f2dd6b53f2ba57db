/**
 * Scales of chart axes: from values to pixels, and where ticks stand.
 *
 * @module
 */

/** One axis' way from values to pixels. */
export interface Scale {
  /** Values at the axis' ends. */
  readonly domain: readonly [number, number];
  /** Where to put tick marks, in order. */
  readonly ticks: readonly number[];
  /** The pixel of a value. */
  at(value: number): number;
}

/** The round number (1, 2 or 5 times a power of ten) that is at least `step`. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return [1, 2, 5, 10].find((factor) => factor * power >= step * (1 - 1e-9))! * power;
}

/**
 * A linear scale.
 *
 * @param domain Its ends are moved outward to round numbers, unless `exact`.
 * @param range Pixels of the ends.
 * @param count About how many intervals between ticks.
 */
export function linearScale(
  domain: readonly [number, number],
  range: readonly [number, number],
  options: { count?: number; exact?: boolean; integers?: boolean } = {},
): Scale {
  const { count = 5, exact = false, integers = false } = options;
  const width = domain[1] - domain[0] || Math.abs(domain[0]) || 1;
  const step = Math.max(roundStep(width / count), integers ? 1 : 0);
  const low = exact ? domain[0] : Math.floor(domain[0] / step + 1e-9) * step;
  const high = exact ? domain[0] + width : Math.ceil((domain[0] + width) / step - 1e-9) * step;
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  const ticks = Array.from(
    { length: last - first + 1 },
    (_, i) => Number(((first + i) * step).toPrecision(12)),
  );
  const slope = (range[1] - range[0]) / (high - low);
  return { domain: [low, high], ticks, at: (value) => range[0] + (value - low) * slope };
}

/** A logarithmic scale for positive values; ticks at 1, 2 and 5 times powers of ten. */
export function logScale(
  domain: readonly [number, number],
  range: readonly [number, number],
): Scale {
  const [low, high] = [domain[0] / 1.25, domain[1] * 1.25];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const factor of [1, 2, 5]) {
      const tick = Number((factor * 10 ** power).toPrecision(12));
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  const slope = (range[1] - range[0]) / Math.log(high / low);
  return { domain: [low, high], ticks, at: (value) => range[0] + Math.log(value / low) * slope };
}
