import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { lastBoxed } from "../../src/grade/mod.ts";

Deno.test("lastBoxed: the last box decides", () => {
  assertEquals(lastBoxed("so \\boxed{1}, no: \\boxed{2}."), "2");
  assertEquals(lastBoxed("\\fbox{7}"), "7");
  assertEquals(lastBoxed("\\boxed {8}"), "8");
  assertEquals(lastBoxed("\\boxed{1} then \\fbox{2}"), "2");
  assertEquals(lastBoxed("\\boxed{3} as asked in \\boxed"), "3");
});

Deno.test("lastBoxed: braces are matched, escaped ones are text", () => {
  assertEquals(lastBoxed("\\boxed{\\frac{1}{\\sqrt{2}}}"), "\\frac{1}{\\sqrt{2}}");
  assertEquals(lastBoxed("\\boxed{\\{1, 2\\}} {"), "\\{1, 2\\}");
  assertEquals(lastBoxed("\\boxed{\\}}"), "\\}");
  assertEquals(lastBoxed("\\boxed{a \\\\}"), "a \\\\");
  assertEquals(lastBoxed("\\boxed{\\boxed{5}}"), "5");
});

Deno.test("lastBoxed: no box, an empty box, a box that never closes", () => {
  assertEquals(lastBoxed("the answer is 5"), undefined);
  assertEquals(lastBoxed(""), undefined);
  assertEquals(lastBoxed("\\boxedanswer{5}"), undefined);
  assertEquals(lastBoxed("\\boxed{}"), "");
  assertEquals(lastBoxed("\\boxed{1} wait \\boxed{2"), undefined);
  assertEquals(lastBoxed("\\boxed{1} wait \\boxed{\\frac{2}{3}"), undefined);
});

Deno.test("lastBoxed: finds any balanced content behind any text without a box", () => {
  const { content } = fc.letrec<{ content: string; group: string }>((tie) => ({
    content: fc.array(
      fc.oneof({ maxDepth: 3 }, fc.constantFrom("a", "1", "\\{", "\\}"), tie("group")),
    )
      .map((parts) => parts.join("")),
    group: tie("content").map((inner) => `{${inner}}`),
  }));
  fc.assert(fc.property(fc.string(), content, fc.string(), (before, inner, after) => {
    fc.pre(!before.endsWith("\\") && !/\\(boxed|fbox)/.test(before + " " + after));
    assertEquals(lastBoxed(`${before}\\boxed{${inner}}${after}`), inner);
  }));
});

Deno.test("lastBoxed: hostile texts of 1 MB take linear time", () => {
  const start = performance.now();
  for (
    const piece of ["\\boxed{", "\\boxed ", "{", "\\boxed{}", "\\", "\\boxed" + " ".repeat(100)]
  ) {
    lastBoxed(piece.repeat(1_000_000 / piece.length));
  }
  assert(performance.now() - start < 2000);
});
