/**
 * Local stand-in for the JSR package `@std/assert`: the calls that the tests make, from npm, with
 * the types that npm's copy lacks.
 *
 * @module
 */
// @ts-types="./mod.d.ts"
export {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "npm:deno-std@1.4.0/assert/mod.js";
