import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertIsError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotInstanceOf,
  assertNotMatch,
  assertNotStrictEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  equal,
  fail,
  unimplemented,
  unreachable,
} from "@std/assert";

/** Runs `check` without the library's help; the failure's message, undefined if there is none. */
function failure(check: () => void): string | undefined {
  try {
    check();
  } catch (error) {
    if (error instanceof AssertionError) return error.message;
    throw error;
  }
  return undefined;
}

function maybe<T>(value: T): T | undefined {
  return value;
}

Deno.test("assertions narrow: this file type-checks only if they do", () => {
  const text = maybe("seven");
  assert(text !== undefined);
  assertEquals(text.length, 5);

  const list = maybe([1, 2]);
  assertExists(list);
  assertEquals(list.map((n) => n + 1), [2, 3]);

  const unknown: unknown = new RangeError("too far");
  assertInstanceOf(unknown, RangeError);
  assertEquals(unknown.message, "too far");

  const same: unknown = 4;
  assertStrictEquals(same, 4 as const);
  assertEquals(same + 1, 5);

  const caught: unknown = new TypeError("no number");
  assertIsError(caught, TypeError, "number");
  assertEquals(caught.name, "TypeError");

  const empty: string | undefined = maybe("");
  assertFalse(empty);
  const falsy: "" | undefined = empty;
  assertEquals(falsy, "");

  const either = maybe<Date | string>("monday");
  assertNotInstanceOf(either, Date);
  const noDate: string | undefined = either;
  assertEquals(noDate, "monday");
});

Deno.test("every assertion that must fail does", () => {
  const cases: Record<string, () => void> = {
    assert: () => assert(0),
    assertFalse: () => assertFalse("x"),
    assertEquals: () => assertEquals({ a: [1] }, { a: [2] }),
    assertNotEquals: () => assertNotEquals([1], [1]),
    assertStrictEquals: () => assertStrictEquals<unknown>([1], [1]),
    assertNotStrictEquals: () => assertNotStrictEquals(1, 1),
    assertAlmostEquals: () => assertAlmostEquals(1, 1.1, 0.05),
    assertExists: () => assertExists(null),
    assertInstanceOf: () => assertInstanceOf([], Map),
    assertNotInstanceOf: () => assertNotInstanceOf(new Map(), Map),
    assertIsError: () => assertIsError("text"),
    assertGreater: () => assertGreater(1, 1),
    assertGreaterOrEqual: () => assertGreaterOrEqual(0, 1),
    assertLess: () => assertLess(1, 1),
    assertLessOrEqual: () => assertLessOrEqual(2, 1),
    assertArrayIncludes: () => assertArrayIncludes([1, 2], [3]),
    assertObjectMatch: () => assertObjectMatch({ a: 1, b: 2 }, { a: 2 }),
    assertStringIncludes: () => assertStringIncludes("abc", "d"),
    assertMatch: () => assertMatch("abc", /d/),
    assertNotMatch: () => assertNotMatch("abc", /b/),
    assertThrows: () => assertThrows(() => {}),
    fail: () => fail(),
    unimplemented: () => unimplemented(),
    unreachable: () => unreachable(),
  };
  const silent = Object.entries(cases).filter(([, check]) => failure(check) === undefined).map((
    [name],
  ) => name);
  if (silent.length) throw new Error(`did not fail: ${silent.join(", ")}`);
});

Deno.test("values that match pass", () => {
  assertEquals(new Map([["a", new Set([1])]]), new Map([["a", new Set([1])]]));
  assertEquals(NaN, NaN);
  assertEquals(Float32Array.of(1, 2), Float32Array.of(1, 2));
  assertNotEquals<unknown>(1, "1");
  assertNotStrictEquals({}, {});
  assertAlmostEquals(0.1 + 0.2, 0.3);
  assertGreater(2, 1);
  assertGreaterOrEqual("b", "b");
  assertLess(1n, 2n);
  assertLessOrEqual(1, 1);
  assertArrayIncludes(Uint8Array.of(1, 2, 3), [3, 1]);
  assertObjectMatch({ a: { b: 1, c: 2 } }, { a: { b: 1 } });
  assertStringIncludes("thinker", "think");
  assertMatch("step-50", /^step-\d+$/);
  assertNotMatch("step", /\d/);
  assert(equal([{ a: 1 }], [{ a: 1 }]));
  assertFalse(equal([1], ["1"]));
});

Deno.test("messages show the difference and the caller's words", () => {
  const message = failure(() => assertEquals([1, 2], [1, 3], "ids differ")) ?? "";
  assertStringIncludes(message, "ids differ");
  assertMatch(message, /-\s+2/);
  assertMatch(message, /\+\s+3/);
  assertStringIncludes(failure(() => fail("out of road")) ?? "", "out of road");
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
    AssertionError,
  );
  assertStringIncludes(wrong.message, "Overflow");
});
