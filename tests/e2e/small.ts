/** Training runs small enough for a test: configs, temporary folders, and looks into run folders. */
import { type TrainConfig, trainConfigSchema } from "../../src/setup/config.ts";
import { type Metrics, readMetrics, stripClock } from "../../src/base/mod.ts";
import { presets } from "../../src/setup/presets.ts";

/** What differs from the tiny preset; `ppo` and `warmstart` are laid over the small run's. */
export type Changes =
  & Partial<Omit<TrainConfig, "ppo" | "warmstart">>
  & { ppo?: Partial<TrainConfig["ppo"]>; warmstart?: Partial<TrainConfig["warmstart"]> };

/** A run of seconds: a model of two thin layers, hardly warm-started, three steps of 16 episodes. */
export function smallConfig({ ppo, warmstart, ...changes }: Changes = {}): TrainConfig {
  return trainConfigSchema.parse({
    ...presets.tiny,
    shape: {
      hidden: 32,
      ffn: 64,
      layers: 2,
      heads: 2,
      kvHeads: 1,
      headDim: 16,
      maxPositions: 512,
    },
    promptLimit: 200,
    device: "cpu", // auto would tell where there is no GPU
    steps: 3,
    evalEvery: 2,
    saveEvery: 2,
    evalProblems: 20,
    engine: { maxSequences: 32, cacheTokens: 32 * 128 },
    ...changes,
    warmstart: { ...presets.tiny.warmstart, steps: 20, batch: 8, ...warmstart },
    ppo: { ...presets.tiny.ppo, questions: 8, samples: 2, packTokens: 1024, ...ppo },
  });
}

/** A folder that is removed at the end of the scope. */
export class TempDir implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<TempDir> {
    return new TempDir(await Deno.makeTempDir({ prefix: "thinker-test-" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** Metrics of a run without what depends on the clock. */
export async function timeless(run: string): Promise<Metrics[]> {
  return (await readMetrics(`${run}/metrics.jsonl`)).map(stripClock);
}

/** All files below a folder as paths relative to it, sorted. */
export async function filesOf(dir: string, prefix = ""): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(`${dir}/${prefix}`));
  const nested = await Promise.all(
    entries.map(({ name, isDirectory }) =>
      isDirectory ? filesOf(dir, `${prefix}${name}/`) : [`${prefix}${name}`]
    ),
  );
  return nested.flat().sort();
}

/** A digest of every file of a folder. */
export async function digests(dir: string): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const file of await filesOf(dir)) {
    const hash = await crypto.subtle.digest("SHA-256", await Deno.readFile(`${dir}/${file}`));
    result[file] = new Uint8Array(hash).toHex();
  }
  return result;
}
