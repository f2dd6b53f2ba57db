/**
 * Pairs of different golds, and which of them may be equal.
 *
 * @module
 */
import type { Random } from "../../../src/base/mod.ts";

/** Without what is not seen, and without dollar signs that are no currency. */
function bare(text: string): string {
  return text.trim()
    .replace(/\\(?:left|right|displaystyle|quad|[,;:!]|[()[\]])(?![a-zA-Z])|(?<!\\)\$|[\s~]/g, "")
    .replace(/\\[dt]frac/g, "\\frac")
    .replace(/\{\\circ\}/g, "\\circ")
    .replace(/\.$/, "");
}

/** One spelling of what is the same text to the eye. */
function plain(text: string): string {
  return bare(text).replace(/\\frac(\d)(\d)/g, "\\frac{$1}{$2}").replace(/\{(\w)\}/g, "$1");
}

const NAME = /^(?:\\?[a-zA-Z]+|\\mathrm\{\w\})(?:_\w|_\{\w+\})?(?:\([\w,]+\))?=(?=[^=]+$)/;
const UNIT = new RegExp(
  "(?:(?:\\\\(?:text|mbox|mathrm)\\{[a-zA-Z.,/]+\\}/?)+|\\^\\\\circ|\\\\%|%|(?<=\\d)[a-z]+)" +
    "(?:\\^\\d)?$",
);

/** A name in front, a unit (degrees, a percent or dollar sign) and what remains. */
function parts(text: string): { name: string; unit: string; value: string } {
  const whole = bare(text);
  const [name = ""] = NAME.exec(whole) ?? [];
  const rest = whole.slice(name.length);
  const [unit = /^-?\\\$/.test(rest) ? "$" : ""] = UNIT.exec(rest) ?? [];
  return { name, unit, value: plain(rest.replace(UNIT, "").replace(/^(-?)\\\$/, "$1")) };
}

/** A number as numerator and denominator: `5`, `-1,234`, `0.50`, `3/4`, `\frac{3}{4}`. */
function rational(text: string): readonly [bigint, bigint] | undefined {
  const bare = plain(text).replace(/\{,\}/g, ",");
  const [, sign, num, den] = /^([+-]?)\\frac\{?(\d+)\}?\{?(\d+)\}?$/.exec(bare) ??
    /^([+-]?)(\d+)\/(\d+)$/.exec(bare) ?? [];
  if (num !== undefined) return den === "0" ? undefined : [BigInt(sign + num), BigInt(den)];
  if (!/^[+-]?(?:\d+|[1-9]\d{0,2}(?:,\d{3})+)?(?:\.\d+)?$/.test(bare) || !/\d/.test(bare)) {
    return undefined;
  }
  const [whole, part = ""] = bare.replace(/,/g, "").split(".");
  return [BigInt(`${whole}${part}`), 10n ** BigInt(part.length)];
}

/** Classes of golds known to be equal, by member. */
export class KnownEqual {
  readonly #classes = new Map<string, Set<number>>();

  /** @param classes Golds of one value each. */
  constructor(classes: readonly (readonly string[])[]) {
    for (const [i, members] of classes.entries()) {
      for (const member of members) {
        const at = this.#classes.get(plain(member)) ?? new Set();
        this.#classes.set(plain(member), at.add(i));
      }
    }
  }

  /**
   * Whether two texts are the same to the eye, the same number, or listed together. A name and a unit
   * may be missing on either side, but not contradict.
   */
  has(a: string, b: string): boolean {
    const [x, y] = [parts(a), parts(b)];
    const compatible = (one: string, other: string) => one === other || one === "" || other === "";
    if (compatible(x.name, y.name) && compatible(x.unit, y.unit)) {
      if (x.value === y.value) return true;
      const [one, other] = [rational(x.value), rational(y.value)];
      if (one && other && one[0] * other[1] === other[0] * one[1]) return true;
    }
    const classes = (text: string) =>
      [plain(text), parts(text).value].flatMap((each) => [
        ...this.#classes.get(each) ?? [],
      ]);
    const there = new Set(classes(b));
    return classes(a).some((each) => there.has(each));
  }
}

/** How many neighbours in an order each gold is compared with. */
const NEIGHBOURS = 12;

/** Its letters and digits without their order: texts that differ in little else stand together. */
const skeleton = (text: string) =>
  [...plain(text).replace(/\\frac|[^a-zA-Z0-9\\]/g, "")].sort().join("");

/**
 * Pairs of different texts, at most `limit`: first those that look alike, then any.
 *
 * @param texts Different texts.
 */
export function* distinctPairs(
  texts: readonly string[],
  limit: number,
  random: Random,
): Generator<readonly [string, string]> {
  const n = texts.length, all = n * (n - 1) / 2;
  const seen = new Set<number>();
  const pair = (i: number, j: number) => {
    const key = i < j ? i * n + j : j * n + i;
    if (i === j || seen.has(key)) return false;
    seen.add(key);
    return true;
  };
  if (all > limit) {
    for (const key of [plain, skeleton, (text: string) => plain(text).replace(/\W/g, "")]) {
      const order = texts.map((text, i) => [key(text), i] as const)
        .sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0).map(([, i]) => i);
      for (const [at, i] of order.entries()) {
        for (const j of order.slice(at + 1, at + 1 + NEIGHBOURS)) {
          if (seen.size < limit && pair(i, j)) yield [texts[i], texts[j]];
        }
      }
    }
    while (seen.size < limit) {
      const i = random.int(0, n - 1), j = random.int(0, n - 1);
      if (pair(i, j)) yield [texts[i], texts[j]];
    }
    return;
  }
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) yield [texts[i], texts[j]];
}

/** Pairs put together into classes that hang together. */
export function grouped(
  pairs: readonly (readonly [string, string])[],
): (readonly [string, string])[][] {
  const classes = new Map<string, Set<string>>();
  for (const [a, b] of pairs) {
    const one = new Set([a, b, ...classes.get(a) ?? [], ...classes.get(b) ?? []]);
    for (const member of one) classes.set(member, one);
  }
  return [...Map.groupBy(pairs, ([a]) => classes.get(a)!).values()];
}
