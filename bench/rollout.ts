/**
 * `deno task bench:rollout`: rollouts of a whole engine, with random weights and turns of random lengths.
 *
 * Tokens per second, steps, and the share of the time in which kernels ran: the rest is what scheduling costs.
 * With `--against` another checkout plays the same, round by round in turn, so that whatever else the machine does
 * hits both.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import * as z from "npm:zod@4.6.7";
import { smol135m, tiny } from "./models.ts";
import { median } from "./harness.ts";
import { commitOf, describeMachine } from "./machine.ts";
import { formatTable, saveResults } from "./report.ts";
import type { RolloutResult, RolloutWorkload } from "./rollout_child.ts";

const schema = z.object({
  against: z.string().optional(),
  only: z.string(),
  rounds: z.int().positive(),
  save: z.string().optional(),
});

const here = new URL("../", import.meta.url).pathname;

const workloads: Readonly<Record<string, RolloutWorkload>> = {
  "tiny": {
    config: tiny,
    engine: { maxSequences: 128, cacheTokens: 128 * 256, maxTokens: 256 },
    prompts: 1024,
    samples: 8,
    prompt: 12,
    between: 7,
    turn: 20,
    limit: 50,
  },
  "SmolLM2-135M": {
    config: smol135m,
    engine: { maxSequences: 32, cacheTokens: 8192, maxTokens: 512 },
    prompts: 24,
    samples: 4,
    prompt: 60,
    between: 25,
    turn: 24,
    limit: 80,
  },
};

/** Plays a workload in a process of its own. */
async function play(root: string, workload: RolloutWorkload): Promise<RolloutResult> {
  const args = ["run", "-qA", "--lock=deno.lock"];
  const child = new URL("rollout_child.ts", import.meta.url).pathname;
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: [...args, child, root, JSON.stringify(workload)],
    cwd: root,
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`the rollout of ${root} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function compare(name: string, roots: readonly string[], rounds: number) {
  const results = roots.map((): RolloutResult[] => []);
  for (let round = 0; round < rounds; round++) {
    const turn = roots.map((_, i) => (i + round) % roots.length);
    for (const i of turn) results[i].push(await play(roots[i], workloads[name]));
  }
  const [own] = results;
  const commits = await Promise.all(roots.map(commitOf));
  return results.map((each, i) => ({
    workload: name,
    checkout: commits[i],
    tokensPerSecond: median(each.map(({ sampled, seconds }) => sampled / seconds)),
    kernelShare: median(each.map(({ kernelShare }) => kernelShare)),
    steps: each[0].steps,
    prefilled: each[0].prefilled,
    /** How many times as fast this one is. */
    ratio: median(each.map(({ seconds }, round) => seconds / own[round].seconds)),
  }));
}

await new Command()
  .name("bench:rollout")
  .description("Rollouts of a whole engine on the CPU; Linux only.")
  .option("--against <dir:string>", "Another checkout of this repository, to compare with.")
  .option("--only <text:string>", "Only workloads whose name contains the text.", { default: "" })
  .option("--rounds <n:integer>", "Rounds; the median is shown.", { default: 5 })
  .option("--save <name:string>", "Keep the results as bench/results/<name>-<date>.json.")
  .action(async (raw: Record<string, unknown>) => {
    const { against, only, rounds, save } = schema.parse(raw);
    const other = against && `${resolve(against)}/`;
    if (other && !existsSync(`${other}mod.ts`)) {
      console.error(`error: --against ${against}: no checkout of this repository`);
      Deno.exit(1);
    }
    const roots = other ? [here, other] : [here];
    const names = Object.keys(workloads).filter((name) => name.includes(only));
    const rows = [];
    for (const name of names) rows.push(...await compare(name, roots, rounds));
    console.log(formatTable(
      ["workload", "checkout", "tokens/s", "in kernels", "steps", "read", "time × the first's"],
      rows.map((row) => [
        row.workload,
        row.checkout,
        row.tokensPerSecond.toFixed(0),
        `${(100 * row.kernelShare).toFixed(1)} %`,
        row.steps.toString(),
        row.prefilled.toString(),
        row.ratio.toFixed(2),
      ]),
    ));
    if (!save) return;
    const memoryBytes = Deno.systemMemoryInfo().total;
    const machine = await describeMachine({ isa: "native", memoryBytes });
    console.log(`kept as ${await saveResults(save, machine, { rounds, rows })}`);
  })
  .parse(Deno.args);
