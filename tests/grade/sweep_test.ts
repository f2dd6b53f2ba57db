import { assert, assertEquals } from "@std/assert";
import { describe } from "./sweep/gold.ts";
import { MUTATIONS } from "./sweep/mutations.ts";
import { distinctPairs, KnownEqual } from "./sweep/pairs.ts";
import { REWRITINGS } from "./sweep/rewritings.ts";
import { format, goldsOf, isClean, sweep } from "./sweep/sweep.ts";
import { Random } from "../../src/base/mod.ts";

const FIXTURE = new URL("../fixtures/golds.jsonl", import.meta.url).pathname;

Deno.test("sweep: spellings leave words, names of environments and group signs alone", () => {
  const of = (kind: string, gold: string) => REWRITINGS[kind](describe(gold));
  assertEquals(of("\\dfrac", "$\\frac{1}{2}+\\frac34$"), "\\dfrac{1}{2}+\\dfrac34");
  assertEquals(of("\\dfrac", "1"), undefined);
  assertEquals(of("spaces between tokens", "x^{12}-\\text{a-b}"), "x ^ { 12 } - \\text{a-b}");
  assertEquals(of("groups {,}", "12345.5+1234567"), "12345.5+1{,}234{,}567");
  assertEquals(of("groups ,", "(12345, 1)"), undefined);
  assertEquals(of("\\, around operators", "-3+x"), "-3\\,+\\,x");
  assertEquals(of("\\approx", "x<5"), undefined);
});

Deno.test("sweep: changes change the value", () => {
  const of = (kind: string, gold: string) => MUTATIONS[kind](describe(gold));
  assertEquals(of("digit", "x^{19}"), ["x^{29}", "x^{14}"]);
  assertEquals(of("digit", "5 \\times 10^{0}"), ["6 \\times 10^{0}", "5 \\times 10^{1}"]);
  assertEquals(of("fraction swapped", "\\frac{3}{7}"), ["\\frac{7}{3}"]);
  assertEquals(of("bracket", "[2, \\infty)"), ["(2, \\infty)"]);
  assertEquals(of("relation", "x<5"), ["x\\le 5", "x>5"]);
  assertEquals(of("sign", "\\pm 3"), []);
  assertEquals(of("inner sign", "x+C"), []);
  assertEquals(of("number cut", "58,500").slice(0, 2), ["500, 58", "(58, 500)"]);
});

Deno.test("sweep: distinct pairs are distinct, seeded, and as many as asked for", () => {
  const texts = Array.from({ length: 100 }, (_, i) => `x+${i}`);
  const pairs = [...distinctPairs(texts, 3000, new Random(1))];
  assertEquals(pairs.length, 3000);
  assertEquals(new Set(pairs.map((pair) => [...pair].sort().join())).size, 3000);
  assertEquals(pairs, [...distinctPairs(texts, 3000, new Random(1))]);
  assertEquals([...distinctPairs(texts, 5000, new Random(1))].length, 4950);
});

Deno.test("sweep: equal by eye or by list only, a name or unit missing on one side at most", () => {
  const known = new KnownEqual([["1+1", "two"]]);
  for (
    const [a, b] of [["$\\dfrac12$", "0.5"], ["x=5", "5"], ["5 \\text{ cm}", "5"], ["1+1", "two"]]
  ) {
    assert(known.has(a, b), `${a} ~ ${b}`);
  }
  for (const [a, b] of [["x=5", "y=5"], ["5 \\text{ cm}", "5 \\text{ m}"], ["12", "1,2"]]) {
    assert(!known.has(a, b), `${a} ~ ${b}`);
  }
});

Deno.test("sweep: the golds in the repository", async () => {
  const golds = await goldsOf(FIXTURE);
  const reports = await sweep([golds], { pairs: 10_000, mutations: 10_000, seed: 1 });
  assert(isClean(reports), format(reports, 10));
  // Everything was looked at.
  const [{ rewritten, distinct, mutated }] = reports;
  assert(rewritten.tried > 1500 && distinct.tried === 4005 && mutated.tried > 500);
});
