import { assert, assertEquals } from "@std/assert";
import { goldOf } from "../../src/data/gold.ts";

Deno.test("goldOf: a text of a million characters takes no minutes, whatever it repeats", () => {
  const began = performance.now();
  for (
    const piece of ["####", "#### 1 ", "<answer>", "</answer>", "\\boxed ", "\\boxed{", " ", "1,"]
  ) {
    goldOf(`${piece.repeat(1e6 / piece.length)}x`, "solution");
  }
  // Hours before; half a second is usual.
  const seconds = (performance.now() - began) / 1000;
  assert(seconds < 20, `${seconds} s`);
  assertEquals(goldOf("so\n#### 5 #### 1,200 \n", "solution"), { answer: "1200" });
  assertEquals(goldOf("####5\nbut no answer.", "answer"), { answer: "####5\nbut no answer." });
});
