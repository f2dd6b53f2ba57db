/**
 * Every kernel's cases.
 *
 * @module
 */
import { cases as attention } from "./attention_bench.ts";
import type { Case } from "./harness.ts";
import { cases as head } from "./head_bench.ts";
import { cases as layers } from "./layers_bench.ts";
import { cases as linear } from "./linear_bench.ts";
import { cases as losses } from "./losses_bench.ts";
import { cases as optimizer } from "./optimizer_bench.ts";
import type { Sizes } from "./sizes.ts";

/** The cases of all groups at the given sizes. */
export function allCases(sizes: Sizes): Case[] {
  return [linear, attention, head, layers, losses, optimizer].flatMap((cases) => cases(sizes));
}
