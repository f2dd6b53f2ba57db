import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { equalExact, parseExact } from "../../src/grade/mod.ts";

function assertValue(text: string, num: bigint, den = 1n): void {
  const value = parseExact(text);
  assert(value !== undefined, `${text} is a number`);
  assert(
    equalExact(value, { num, den }),
    `${text} is ${value.num}/${value.den}, not ${num}/${den}`,
  );
}

Deno.test("parseExact: every way to write a number", () => {
  assertValue("42", 42n);
  assertValue("+42", 42n);
  assertValue("-42", -42n);
  assertValue("- 42", -42n);
  assertValue("007", 7n);
  assertValue("3.25", 13n, 4n);
  assertValue(".5", 1n, 2n);
  assertValue("-.5", -1n, 2n);
  assertValue("5.", 5n);
  assertValue("1,234", 1234n);
  assertValue("12,345,678.5", 24691357n, 2n);
  assertValue("3/4", 3n, 4n);
  assertValue("-3 / 4", -3n, 4n);
  assertValue("\\frac{3}{4}", 3n, 4n);
  assertValue("\\dfrac{-3}{4}", -3n, 4n);
  assertValue("-\\frac{1,000}{-3}", 1000n, 3n);
  assertValue("\\frac{0.5}{2}", 1n, 4n);
  assertValue("3\\frac{1}{2}", 7n, 2n);
  assertValue("-3 \\frac{1}{2}", -7n, 2n);
  assertValue("3 1/2", 7n, 2n);
  assertValue("12.5\\%", 1n, 8n);
  assertValue("50 %", 1n, 2n);
  assertValue("4.5e3", 4500n);
  assertValue("4.5E-3", 9n, 2000n);
  assertValue("1.09 \\times 10^{0}", 109n, 100n);
  assertValue("-4.5 \\cdot 10^{-2}", -9n, 200n);
  assertValue("10^{3}", 1000n);
  assertValue("10^12", 10n ** 12n);
  assertValue("(-5)", -5n);
  assertValue("0", 0n);
});

Deno.test("parseExact: a list is never a number", () => {
  for (
    const text of ["2,3", "(1,2)", "(1,234)", "1,23", "1,2345", "1234,567", ",234", "1, 234", "1 2"]
  ) {
    assertEquals(parseExact(text), undefined, text);
  }
});

Deno.test("parseExact: what is not one number", () => {
  for (
    const text of [
      "",
      " ",
      ".",
      "-",
      "%",
      "--5",
      "+-5",
      "x",
      "2x",
      "2^2",
      "1/0",
      "\\frac{1}{0}",
      "1/2/3",
      "0x10",
    ]
      .concat(["\\frac{1}{x}", "3 5/2", "3\\frac{-1}{2}", "1e", "Infinity", "NaN", "1_000", "½"])
  ) {
    assertEquals(parseExact(text), undefined, text);
  }
});

Deno.test("parseExact: a number too large to build is refused at once", () => {
  const start = performance.now();
  for (
    const text of ["1e999999999", "1e-999999999", "10^{999999999}", "2 \\times 10^{999999999}"]
      .concat(["1e" + "9".repeat(1000), "9".repeat(100_000), "1." + "0".repeat(100_000)])
  ) {
    assertEquals(parseExact(text), undefined);
  }
  assert(performance.now() - start < 500);
});

Deno.test("parseExact: agrees with integer arithmetic on generated fractions", () => {
  const int = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n });
  const positive = fc.bigInt({ min: 1n, max: 10n ** 30n });
  fc.assert(fc.property(int, positive, fc.integer({ min: -50, max: 50 }), (num, den, power) => {
    assertValue(`${num}/${den}`, num, den);
    assertValue(`\\frac{${num}}{${den}}`, num, den);
    const factor = 10n ** BigInt(Math.abs(power));
    assertValue(`${num}e${power}`, power < 0 ? num : num * factor, power < 0 ? factor : 1n);
    const grouped = `${num}`.replace(/\B(?=(\d{3})+$)/g, ",");
    assertValue(grouped, num);
  }));
});
