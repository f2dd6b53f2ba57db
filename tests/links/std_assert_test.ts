import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";

/** Runs `check` without the library's help; the failure's message, undefined if there is none. */
function failure(check: () => void): string | undefined {
  try {
    check();
  } catch (error) {
    if (error instanceof Error && error.name === "AssertionError") return error.message;
    throw error;
  }
  return undefined;
}

Deno.test("assert narrows: this file type-checks only if it does", () => {
  const text = ["seven"].at(0);
  assert(text !== undefined);
  assertEquals(text.length, 5);
});

Deno.test("every assertion that must fail does", () => {
  const cases: Record<string, () => void> = {
    assert: () => assert(0),
    assertEquals: () => assertEquals({ a: [1] }, { a: [2] }),
    assertNotEquals: () => assertNotEquals([1], [1]),
    assertAlmostEquals: () => assertAlmostEquals(1, 1.1, 0.05),
    assertStringIncludes: () => assertStringIncludes("abc", "d"),
    assertMatch: () => assertMatch("abc", /d/),
    assertThrows: () => assertThrows(() => {}),
  };
  const silent = Object.keys(cases).filter((name) => failure(cases[name]) === undefined);
  if (silent.length) throw new Error(`did not fail: ${silent.join(", ")}`);
});

Deno.test("values that match pass", () => {
  assertEquals(new Map([["a", new Set([1])]]), new Map([["a", new Set([1])]]));
  assertEquals(NaN, NaN);
  assertEquals(Float32Array.of(1, 2), Float32Array.of(1, 2));
  assertNotEquals<unknown>(1, "1");
  assertAlmostEquals(0.1 + 0.2, 0.3);
  assertStringIncludes("thinker", "think");
  assertMatch("step-50", /^step-\d+$/);
});

Deno.test("messages show the difference and the caller's words", () => {
  const message = failure(() => assertEquals([1, 2], [1, 3], "ids differ")) ?? "";
  assertStringIncludes(message, "ids differ");
  assertMatch(message, /-\s+2/);
  assertMatch(message, /\+\s+3/);
});

Deno.test("assertThrows and assertRejects return the typed error", async () => {
  class Overflow extends Error {
    bits = 53;
  }
  const thrown = assertThrows(
    () => {
      throw new Overflow("too many bits");
    },
    Overflow,
    "many bits",
  );
  assertEquals(thrown.bits, 53);
  const rejected = await assertRejects(() => Promise.reject(new Overflow("late")), Overflow);
  assertEquals(rejected.bits, 53);
  assertEquals(
    assertThrows(() => {
      throw "a string";
    }),
    "a string",
  );
  const wrong = await assertRejects(
    () => assertRejects(() => Promise.reject(new Error("other")), Overflow),
    Error,
  );
  assertEquals(wrong.name, "AssertionError");
  assertStringIncludes(wrong.message, "Overflow");
});
