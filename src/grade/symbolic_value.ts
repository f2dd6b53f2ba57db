/**
 * Values of expressions at a point: what compute-engine computes with 80 digits is taken from it; its
 * integrals are computed twice, its limits, derivatives and infinite sums not at all but by
 * approach, difference and a bounded tail.
 *
 * @module
 */
import type { ComputeEngine } from "npm:@cortex-js/compute-engine@0.140.0";
import { integral, isSteep, realFunction } from "./quadrature.ts";
import {
  args,
  contains,
  head,
  isInfinite,
  type Json,
  type Loop,
  loopOf,
  substituted,
} from "./symbolic_form.ts";

/** Digits that are computed with. */
const DIGITS = 80;

/** A real number, and how far it may be off. */
export interface Value {
  /** Its decimal digits. */
  readonly text: string;
  /** 0 for one of nearly 80 digits. */
  readonly err: number;
}

/** Thrown inside of this module where there is no value, or none to be sure of. */
class NoValue extends Error {}

/** Evaluates expressions with one engine. */
export class Evaluator {
  readonly #engine: ComputeEngine;

  /** The engine's precision becomes 80 digits. */
  constructor(engine: ComputeEngine) {
    this.#engine = engine;
    engine.precision = DIGITS;
  }

  /** The value at a point, `undefined` where there is no real one. */
  at(json: Json, point: ReadonlyMap<string, Json>): Value | undefined {
    try {
      return this.#value(json, point);
    } catch (error) {
      if (error instanceof NoValue) return undefined;
      throw error;
    }
  }

  #value(json: Json, point: ReadonlyMap<string, Json>): Value {
    const errs: number[] = [];
    const plain = this.#resolved(substituted(json, point), json, point, errs);
    const text = this.#number(plain);
    return { text, err: errs.length === 0 ? 0 : Math.max(...errs) * (1 + Math.abs(Number(text))) };
  }

  /** A real number that compute-engine evaluates without loops of ours. */
  #number(json: Json): string {
    const value = this.#engine.box(json as never).N();
    if (value.im !== 0 || Number.isNaN(value.re)) throw new NoValue();
    const found = value.json as Json;
    if (typeof found === "number" && Number.isFinite(found)) return String(found);
    if (typeof found === "object" && "num" in found && /^-?[\d.]+(?:e[+-]?\d+)?$/.test(found.num)) {
      return found.num;
    }
    if (head(found) === "Rational") return this.#number(["Multiply", found, { num: "1.0" }]);
    throw new NoValue();
  }

  /** The expression with its integrals, limits, derivatives and infinite sums as numbers. */
  #resolved(json: Json, raw: Json, point: ReadonlyMap<string, Json>, errs: number[]): Json {
    const found = this.#special(json, raw, point);
    if (found) {
      if (found.err > 0) errs.push(found.err / Math.max(Math.abs(Number(found.text)), 1e-6));
      return { num: found.text };
    }
    if (!Array.isArray(json)) return json;
    const rawArgs = args(raw);
    return [json[0], ...args(json).map((arg, i) => this.#resolved(arg, rawArgs[i], point, errs))];
  }

  #special(json: Json, raw: Json, point: ReadonlyMap<string, Json>): Value | undefined {
    switch (head(json)) {
      case "D":
        return this.#derivative(raw, point);
      case "Limit":
        return this.#limit(loopOf(json)!);
      case "Integrate":
        return this.#integral(loopOf(json)!);
      case "Sum":
      case "Product": {
        const loop = loopOf(json)!;
        return loop.bounds.some(isInfinite) ? this.#series(head(json), loop) : undefined;
      }
      default:
        return undefined;
    }
  }

  /** A central difference so narrow that with 80 digits its error is none. */
  #derivative(raw: Json, point: ReadonlyMap<string, Json>): Value {
    const [body, name] = args(raw);
    const at = typeof name === "string" ? point.get(name) : undefined;
    if (at === undefined) throw new NoValue();
    const h: Json = { num: "1e-16" };
    const [after, before] = (["Add", "Subtract"] as const).map((step) => {
      const there = { num: this.#number([step, at, h]) };
      const value = this.#value(body, new Map([...point, [name as string, there]]));
      if (value.err > 1e-20) throw new NoValue();
      return value;
    });
    const text = this.#number([
      "Multiply",
      ["Subtract", { num: after.text }, { num: before.text }],
      { num: "5e15" },
    ]);
    return { text, err: 1e-24 * (1 + Math.abs(Number(text))) };
  }

  /** What the values come to on the way to a point: three steps must settle, from either side. */
  #limit({ index, body, bounds: [to, side = 0] }: Loop): Value {
    const steps = (sign: 1 | -1) =>
      [["73", 11], ["31", 17], ["73", 23]].map(([digits, size]) => {
        const where: Json = isInfinite(to)
          ? {
            num: `${to === "NegativeInfinity" ? "-" : ""}${digits}${"0".repeat(size as number)}.1`,
          }
          : ["Add", to, { num: `${sign < 0 ? "-" : ""}${digits}e-${Number(size) + 2}` }];
        return this.#number(substituted(body, new Map([[index, where]])));
      });
    const settled = (texts: readonly string[]) => {
      const [far, near, last] = texts.map(Number);
      const scale = Math.abs(last);
      // A value that shrinks with every step comes to zero.
      if (scale < 1e-9 && scale < 1e-3 * Math.abs(near) && Math.abs(near) < 1e-3 * Math.abs(far)) {
        return { text: "0", err: 0 };
      }
      const gap = Math.abs(last - near);
      if (gap > 1e-12 * scale || Math.abs(near - far) > 1e-7 * scale) throw new NoValue();
      return { text: texts[2], err: Math.max(1e-14 * scale, 10 * gap) };
    };
    if (isInfinite(to)) return settled(steps(1));
    if (side === 1 || side === -1) return settled(steps(side));
    const [above, below] = [settled(steps(1)), settled(steps(-1))];
    const gap = Math.abs(Number(above.text) - Number(below.text));
    if (gap > 1e-11 * Math.abs(Number(above.text))) throw new NoValue();
    return above;
  }

  /** An integral, which must be the sum of its two parts: a peak that one misses, the other may not. */
  #integral({ index, body, bounds }: Loop): Value {
    const isImproper = bounds.some(isInfinite);
    const f = isSteep(body, isImproper ? 100 : 1000) ? undefined : realFunction(body);
    if (!f) throw new NoValue();
    const [from, to] = bounds.map((bound) =>
      isInfinite(bound)
        ? bound === "PositiveInfinity" ? Infinity : -Infinity
        : Number(this.#number(bound))
    );
    const at = new Map<string, number>();
    const between = (low: number, high: number) => {
      const found = integral((x) => f(at.set(index, x)), low, high);
      if (!found) throw new NoValue();
      return found;
    };
    const middle = Number.isFinite(from)
      ? Number.isFinite(to) ? from + 0.37 * (to - from) : from + 1.37
      : Number.isFinite(to)
      ? to - 1.37
      : 0.37;
    const [left, right] = [between(from, middle), between(middle, to)];
    const whole = between(from, to);
    const value = left.value + right.value, size = left.size + right.size;
    const error = Math.max(Math.abs(value - whole.value), left.error + right.error);
    if (!(error <= 1e-7 * size)) throw new NoValue();
    // Halves that cancel but for rounding.
    if (Math.abs(value) <= 1e-13 * size) return { text: "0", err: 1e-12 * size };
    return { text: value.toPrecision(17), err: Math.max(1e-12 * size, 10 * error) };
  }

  /**
   * An infinite sum whose terms shrink at least as fast as a geometric series: so many terms that the
   * rest is below the last digit. Others, and products, have no value here.
   */
  #series(kind: string, { index, body, bounds: [from, to] }: Loop): Value {
    if (kind !== "Sum" || to !== "PositiveInfinity" || typeof from !== "number") {
      throw new NoValue();
    }
    // What changes its ways at some index may do so beyond the last one looked at.
    if (
      contains(body, (part) =>
        /^(?:Floor|Ceil|Round|Max|Min|Mod|Abs|GCD|LCM|Sign|Sum|Product)/
          .test(head(part)))
    ) throw new NoValue();
    const ratio = (n: number) => {
      const [one, next] = [n, n + 1].map((k) => substituted(body, new Map([[index, from + k]])));
      return Math.abs(Number(this.#number(["Divide", next, one])));
    };
    const largest = Math.max(...[25, 40, 41, 60, 61].map(ratio));
    if (!(largest < SHRINKING)) throw new NoValue();
    const count = Math.ceil(Math.log(10 ** -(DIGITS - 10)) / Math.log(largest)) + 61;
    if (!(count <= 420) || ratio(Math.min(count, 90)) > largest + 0.02) throw new NoValue();
    return { text: this.#number(["Sum", body, ["Limits", index, from, from + count]]), err: 0 };
  }
}

/** Ratio of a term of a series to the one before, at most. */
const SHRINKING = 0.62;
