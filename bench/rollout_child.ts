/**
 * Plays one workload of bench/rollout.ts on the engine of a checkout, and prints what it took as JSON.
 *
 * @module
 */
import type { ModelConfig } from "../src/model/mod.ts";

/** A model, the engine's sizes, and how long texts are. */
export interface RolloutWorkload {
  readonly config: ModelConfig;
  readonly engine: { maxSequences: number; cacheTokens: number; maxTokens: number };
  /** Questions, and samples of each. */
  readonly prompts: number;
  readonly samples: number;
  /** Tokens of a question, and of what stands between two turns. */
  readonly prompt: number;
  readonly between: number;
  /** Mean length of a turn in tokens, and its limit. A sequence has 1 to 4 of them. */
  readonly turn: number;
  readonly limit: number;
}

/** What a rollout took. */
export interface RolloutResult {
  readonly seconds: number;
  readonly sampled: number;
  readonly prefilled: number;
  readonly steps: number;
  /** Share of the time in which kernels ran. */
  readonly kernelShare: number;
}

/** CPU seconds of the thread that runs the kernels: of all beside the first, the busiest. */
function kernelSeconds(): number {
  let most = 0;
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    if (name === String(Deno.pid)) continue;
    const fields = Deno.readTextFileSync(`/proc/self/task/${name}/stat`).split(") ")[1].split(" ");
    most = Math.max(most, Number(fields[11]) + Number(fields[12]));
  }
  return most / 100;
}

async function play(root: string, workload: RolloutWorkload): Promise<RolloutResult> {
  const { Engine, openDevice } = await import(`${root}/mod.ts`) as typeof import("../mod.ts");
  const { randomDecoder } = await import(`${root}/bench/models.ts`) as typeof import("./models.ts");
  const { Random } = await import(`${root}/src/base/mod.ts`) as typeof import("../src/base/mod.ts");
  const { config, prompts, samples, prompt, between, turn, limit } = workload;
  using device = await openDevice("cpu");
  using stream = device.stream();
  using decoder = randomDecoder(stream, config, { train: false });
  using engine = new Engine(stream, decoder, { ...workload.engine, stop: [config.vocab - 1] });
  const random = new Random(7);
  const ids = (count: number) =>
    Array.from({ length: count }, () => random.int(0, config.vocab - 2));
  const length = () => 1 + Math.min(limit - 1, Math.floor(-turn * Math.log(1 - random.next())));
  const requests = Array.from({ length: prompts }, (_, q) => ({
    prompt: ids(prompt),
    maxTokens: prompt + 4 * limit + 3 * between,
    budget: length(),
    sequences: Array.from({ length: samples }, (_, s) => {
      const turns = Array.from(
        { length: random.int(0, 3) },
        () => ({ append: ids(between), budget: length() }),
      );
      return { id: BigInt(q * samples + s), onTurn: () => turns.pop() ?? null };
    }),
  }));
  const before = kernelSeconds();
  const sampling = { temperature: 1, topP: 1, topK: 0 };
  const { seconds, sampled, prefilled, steps } = await engine.run(requests, { seed: 1n, sampling });
  const kernelShare = (kernelSeconds() - before) / seconds;
  return { seconds, sampled, prefilled, steps, kernelShare };
}

if (import.meta.main) {
  const [root, workload] = Deno.args;
  console.log(JSON.stringify(await play(root, JSON.parse(workload))));
}
