import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { unfold } from "../src/base/errors.ts";
import { shown } from "./native.ts";

/** Fails in its scope and again, twice, on leaving it. */
function failing(): void {
  using _outer = {
    [Symbol.dispose]: () => {
      throw new Error("outer");
    },
  };
  using _inner = {
    [Symbol.dispose]: () => {
      throw new Error("inner");
    },
  };
  throw new Error("body");
}

function thrownBy(body: () => void): unknown {
  try {
    body();
  } catch (thrown) {
    return thrown;
  }
}

Deno.test("errors: what failed in a scope comes before what failed on leaving it", () => {
  const messages = unfold(thrownBy(failing)).map((error) => (error as Error).message);
  assertEquals(messages, ["body", "inner", "outer"]);
  assertEquals(unfold("text"), ["text"]);
});

Deno.test("errors: tests on a device show all of them", async () => {
  const body = () => Promise.resolve().then(failing);
  const { message } = await assertRejects(() => shown(body()), Error);
  for (const part of ["body", "inner", "outer"]) assertStringIncludes(message, part);
});
