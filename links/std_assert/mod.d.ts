/** A class, abstract ones included, whatever its constructor takes. */
type Class<T> = abstract new (...args: never[]) => T;

/** Asserts that `expr` is truthy and narrows by it. */
export declare function assert(expr: unknown, msg?: string): asserts expr;

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

/** Asserts that two numbers differ by no more than `tolerance` (by default 1e-7 relative). */
export declare function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
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
