/** Failure of an assertion. */
export declare class AssertionError extends Error {
  constructor(message: string, options?: ErrorOptions);
}

/** A class, abstract ones included, whatever its constructor takes. */
type Class<T> = abstract new (...args: never[]) => T;

/** Values that TypeScript regards as false. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

/** Anything with a length whose elements are read by index. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

/** Asserts that `expr` is truthy and narrows by it. */
export declare function assert(expr: unknown, msg?: string): asserts expr;

/** Asserts that `expr` is falsy. */
export declare function assertFalse(
  expr: unknown,
  msg?: string,
): asserts expr is Falsy;

/** Asserts that two values are deeply equal. */
export declare function assertEquals<T>(
  actual: T,
  expected: T,
  msg?: string,
): void;

/** Asserts that two values are not deeply equal. */
export declare function assertNotEquals<T>(
  actual: T,
  expected: T,
  msg?: string,
): void;

/** Asserts that `actual` is the very value `expected` (`Object.is`). */
export declare function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T;

/** Asserts that `actual` is not the very value `expected` (`Object.is`). */
export declare function assertNotStrictEquals<T>(
  actual: T,
  expected: T,
  msg?: string,
): void;

/** Asserts that two numbers differ by no more than `tolerance` (by default 1e-7 relative). */
export declare function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  msg?: string,
): void;

/** Asserts that `actual` is neither `null` nor `undefined`. */
export declare function assertExists<T>(
  actual: T,
  msg?: string,
): asserts actual is NonNullable<T>;

/** Asserts that `actual` is an instance of `expectedType`. */
export declare function assertInstanceOf<T>(
  actual: unknown,
  expectedType: Class<T>,
  msg?: string,
): asserts actual is T;

/** Asserts that `actual` is not an instance of `unexpectedType`. */
export declare function assertNotInstanceOf<A, T>(
  actual: A,
  unexpectedType: Class<T>,
  msg?: string,
): asserts actual is Exclude<A, T>;

/** Asserts that `error` is an error, of class `errorClass` and with `msgMatches` in its message. */
export declare function assertIsError<E extends Error = Error>(
  error: unknown,
  errorClass?: Class<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E;

/** Asserts `actual > expected`. */
export declare function assertGreater<T>(
  actual: T,
  expected: T,
  msg?: string,
): void;

/** Asserts `actual >= expected`. */
export declare function assertGreaterOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void;

/** Asserts `actual < expected`. */
export declare function assertLess<T>(
  actual: T,
  expected: T,
  msg?: string,
): void;

/** Asserts `actual <= expected`. */
export declare function assertLessOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void;

/** Asserts that every element of `expected` occurs in `actual`. */
export declare function assertArrayIncludes<T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
): void;

/** Asserts that `actual` holds at least what `expected` holds. */
export declare function assertObjectMatch(
  // deno-lint-ignore no-explicit-any -- only with `any` do interface types fit a Record
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void;

/** Asserts that `expected` occurs in `actual`. */
export declare function assertStringIncludes(
  actual: string,
  expected: string,
  msg?: string,
): void;

/** Asserts that `expected` matches `actual`. */
export declare function assertMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void;

/** Asserts that `expected` does not match `actual`. */
export declare function assertNotMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void;

/** Asserts that `fn` throws and returns what it threw. */
export declare function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Asserts that `fn` throws an `errorClass` with `msgIncludes` in its message and returns it. */
export declare function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;

/** Asserts that the promise `fn` returns rejects and resolves to what it rejected with. */
export declare function assertRejects(
  fn: () => PromiseLike<unknown>,
  msg?: string,
): Promise<unknown>;
/** Asserts that `fn` rejects with an `errorClass` with `msgIncludes` in its message. */
export declare function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;

/** Deep equality, the one of `assertEquals`. */
export declare function equal(a: unknown, b: unknown): boolean;

/** Fails. */
export declare function fail(msg?: string): never;

/** Fails: the caller has not been written yet. */
export declare function unimplemented(msg?: string): never;

/** Fails: this point must not be reached. */
export declare function unreachable(msg?: string): never;
