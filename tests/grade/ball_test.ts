import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { type Ball, log2, logSum, Reals } from "../../src/grade/ball.ts";

/** Digits of a ball behind the point, cut off. */
function digits(r: Reals, { mid }: Ball, count: number): string {
  const text = ((mid * 10n ** BigInt(count)) >> BigInt(r.bits)).toString().padStart(count + 1, "0");
  return `${text.slice(0, -count)}.${text.slice(-count)}`;
}

Deno.test("balls: known digits", () => {
  const r = new Reals(256), one = r.fraction(1n);
  const [cos, sin] = r.circle(one);
  const values: [Ball, string][] = [
    [r.pi(), "3.141592653589793238462643383279502884197169399375105820974944"],
    [r.exp(one), "2.718281828459045235360287471352662497757247093699959574966967"],
    [r.sqrt(r.fraction(2n)), "1.414213562373095048801688724209698078569671875376948073176679"],
    [r.ln(r.fraction(2n)), "0.693147180559945309417232121458176568075500134360255254120680"],
    [r.ln(r.fraction(10n)), "2.302585092994045684017991454684364207601101488628772976033327"],
    [sin, "0.841470984807896506652502321630298999622563060798371065672751"],
    [cos, "0.540302305868139717400936607442976603732310420617922227670097"],
  ];
  for (const [value, text] of values) {
    assertEquals(digits(r, value, 60), text);
    assert(value.err < 1, "off by two units at most");
  }
});

/** Whether two balls of different precision can be the same number. */
function overlap(a: Ball, bits: number, b: Ball, more: number): boolean {
  const gap = log2((a.mid << BigInt(more - bits)) - b.mid);
  return gap <= logSum(a.err + more - bits, b.err) + 1e-6;
}

type Step = (r: Reals, x: Ball, y: Ball) => Ball;
const STEPS: Record<string, Step> = {
  add: (r, x, y) => r.add(x, y),
  sub: (r, x, y) => r.sub(x, y),
  mul: (r, x, y) => r.mul(x, y),
  div: (r, x, y) => r.div(x, y),
  square: (r, x) => r.pow(x, 2n),
  seventh: (r, x) => r.pow(x, 7n),
  sqrt: (r, x) => r.sqrt(x),
  exp: (r, x) => r.exp(x),
  ln: (r, x) => r.ln(x),
  cos: (r, x) => r.circle(x)[0],
  sin: (r, x) => r.circle(x)[1],
  angle: (r, x, y) => r.angle(x, y),
  abs: (r, x) => r.abs(x),
  max: (r, x, y) => r.max(x, y),
};

const program = fc.tuple(
  fc.array(fc.tuple(fc.integer({ min: -4000, max: 4000 }), fc.integer({ min: 1, max: 999 })), {
    minLength: 3,
    maxLength: 3,
  }),
  fc.array(fc.tuple(fc.constantFrom(...Object.keys(STEPS)), fc.nat(9), fc.nat(9)), {
    minLength: 1,
    maxLength: 8,
  }),
);

function runProgram(
  r: Reals,
  [numbers, steps]: typeof program extends fc.Arbitrary<infer T> ? T : never,
) {
  const values = numbers.map(([num, den]) => r.fraction(BigInt(num), BigInt(den)));
  for (const [name, i, j] of steps) {
    values.push(STEPS[name](r, values[i % values.length], values[j % values.length]));
  }
  return values;
}

Deno.test("balls: a value lies within its bound of the same at higher precision", () => {
  let known = 0;
  fc.assert(
    fc.property(program, fc.constantFrom(64, 100, 256, 700), (steps, bits) => {
      const few = runProgram(new Reals(bits), steps), many = runProgram(new Reals(1500), steps);
      for (const [i, ball] of few.entries()) {
        if (Number.isNaN(ball.err) || Number.isNaN(many[i].err)) continue;
        known++;
        assert(overlap(ball, bits, many[i], 1500), `step ${i}: ${ball.err}`);
      }
    }),
    { numRuns: 1500, seed: 11 },
  );
  assert(known > 6000, `${known} values compared`);
});

Deno.test("balls: the error is two units where the arguments are exact", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 0, max: 12 }), (n, k) => {
      for (const bits of [64, 200, 900]) {
        const r = new Reals(bits), more = new Reals(bits + 100);
        const den = 1n << BigInt(k);
        for (const fn of ["sqrt", "ln", "sin", "cos", "angle"]) {
          const [a, b] = [r, more].map((at) =>
            STEPS[fn](at, at.fraction(BigInt(n), den), at.fraction(3n))
          );
          assert(a.err < 1);
          assert(log2((a.mid << 100n) - b.mid) <= 101, `${fn}(${n}/${den})`);
        }
      }
    }),
    { numRuns: 150, seed: 12 },
  );
});

Deno.test("balls: what is not sure is no number", () => {
  const r = new Reals(128);
  const nothing = (ball: Ball) => assert(Number.isNaN(ball.err));
  const noise = r.sub(r.mul(r.sqrt(r.fraction(2n)), r.sqrt(r.fraction(2n))), r.fraction(2n));
  assertEquals(r.sign(noise), undefined);
  nothing(r.div(r.fraction(1n), noise));
  nothing(r.div(r.fraction(1n), r.fraction(0n)));
  nothing(r.ln(noise));
  nothing(r.ln(r.fraction(-1n)));
  nothing(r.sqrt(r.fraction(-1n)));
  nothing(r.floor(noise));
  nothing(r.angle(noise, r.fraction(-1n)));
  nothing(r.angle(r.fraction(0n), r.fraction(0n)));
  nothing(r.exp(r.fraction(10n ** 6n)));
  nothing(r.pow(r.fraction(2n), 10n ** 9n));
  nothing(r.mul(r.fraction(0n), r.ln(r.fraction(-1n))));
  assertEquals(r.pow(r.fraction(-1n), 10n ** 30n + 1n), r.fraction(-1n));
  assertEquals(r.floor(r.fraction(-7n, 2n)), r.fraction(-4n));
  assertEquals(r.sqrt(r.fraction(49n)), r.fraction(7n));
});
