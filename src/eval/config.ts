/**
 * What an evaluation is: which model is asked what, how, and how often.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { type DeviceChoice, type Precision, precisions } from "../../ffi/mod.ts";
import { join } from "node:path";
import {
  type Fields,
  firstDifference,
  type FolderLock,
  lockFolder,
  namesIn,
  readJson,
  removeLeftovers,
  type Schema,
  UserError,
  writeAtomic,
  writing,
} from "../base/mod.ts";
import { deviceSchema } from "../setup/mod.ts";
import type { Prompts } from "../task/mod.ts";

/** Settings that an answer depends on: they never change within a folder. */
export interface EvalMethod {
  /** The model folder. */
  readonly model: string;
  /** Tells the weights apart if they change under the same name. */
  readonly fingerprint: string;
  /** How the questions are asked: the name of a task. */
  readonly task: string;
  /** Most sampled tokens of each stage, by name; what is missing is the task's own. */
  readonly budgets: Readonly<Record<string, number>>;
  /** Whether stages that change no answer are played, too: a summary. */
  readonly complete: boolean;
  /** The wording of the stages, by name; what is missing is the task's own. */
  readonly prompts: Prompts;
  /** How tokens are drawn; top-p 1 and top-k 0 cut nothing off. */
  readonly sampling: {
    readonly temperature: number;
    readonly topP: number;
    readonly topK: number;
  };
  /** Key of the sampler. */
  readonly seed: number;
  /** Where answers are computed; `auto`: on a GPU where there is one. A folder names the one taken. */
  readonly device: DeviceChoice;
  /** What the matrix products read; null: what suits the device. */
  readonly weightDtype: Precision | null;
}

/** How much is asked: may grow from one call to the next, answers already there are kept. */
export interface EvalExtent {
  /** Names of the sets, each a file `<name>.jsonl` of the data folder. */
  readonly sets: readonly string[];
  /** The data folder. */
  readonly data: string;
  /** Samples of each problem. */
  readonly samples: number;
  /** Only the first problems of each set; null: all. */
  readonly limit: number | null;
}

/** A whole evaluation. */
export interface EvalConfig {
  /** What every answer depends on. */
  readonly method: EvalMethod;
  /** How much is asked. */
  readonly extent: EvalExtent;
}

const count = z.int().positive();

/** What `config.json` of an evaluation holds. */
const evalConfigSchema: Schema<EvalConfig> = z.strictObject<Fields<EvalConfig>>({
  method: z.strictObject<Fields<EvalMethod>>({
    model: z.string(),
    fingerprint: z.string(),
    task: z.string(),
    budgets: z.record(z.string(), count),
    complete: z.boolean(),
    prompts: z.record(z.string(), z.string()),
    sampling: z.strictObject<Fields<EvalMethod["sampling"]>>({
      temperature: z.number().nonnegative(),
      topP: z.number().positive().max(1),
      topK: z.int().nonnegative(),
    }),
    seed: z.int().nonnegative(),
    device: deviceSchema,
    weightDtype: z.enum(precisions).nullable(),
  }),
  extent: z.strictObject<Fields<EvalExtent>>({
    sets: z.array(z.string()).min(1),
    data: z.string(),
    samples: count,
    limit: count.nullable(),
  }),
});

/** Names of an evaluation's files. */
export class EvalFolder implements Disposable {
  /** The folder itself. */
  readonly path: string;
  /** What is evaluated, how: `config.json`. */
  readonly config: string;
  /** One line per sample: `answers.jsonl`. */
  readonly answers: string;
  /** The scores: `results.json`. */
  readonly results: string;
  /** The report as text: `report.md`. */
  readonly report: string;
  /** The report as a page: `report.html`. */
  readonly page: string;
  /** Missing where the folder is only looked at. */
  readonly #lock?: FolderLock;

  private constructor(path: string, lock?: FolderLock) {
    this.path = path;
    this.#lock = lock;
    this.config = join(path, "config.json");
    this.answers = join(path, "answers.jsonl");
    this.results = join(path, "results.json");
    this.report = join(path, "report.md");
    this.page = join(path, "report.html");
  }

  /** The folder at `path`, whether it exists or not. */
  static at(path: string): EvalFolder {
    return new EvalFolder(path);
  }

  /**
   * Begins an evaluation in an empty folder, or continues the one that is there. It belongs to this process
   * until it is disposed of.
   *
   * @throws {TakenError} when another process has the folder.
   * @throws {UserError} when the folder holds something else, or an evaluation by another method.
   */
  static async open(path: string, config: EvalConfig): Promise<EvalFolder> {
    // Before anything is made in it: it may be somebody's folder of something else.
    await expectSame(path, config);
    using scope = new DisposableStack();
    const lock = scope.use(await lockFolder(path, { name: `the evaluation folder ${path}` }));
    await expectSame(path, config);
    const folder = new EvalFolder(path, lock);
    await removeLeftovers(path);
    await writeAtomic(folder.config, JSON.stringify(config, null, 2) + "\n");
    scope.move();
    return folder;
  }

  /**
   * The evaluation that is in the folder.
   *
   * @throws {UserError} when it holds none.
   */
  savedConfig(): EvalConfig {
    const hint = "name another folder with --out", content = readJson(this.config, hint);
    const saved = evalConfigSchema.safeParse(content);
    if (saved.success) return saved.data;
    // Its answers may have come about in another way than today's: new names would not make them fit.
    const isOlder = typeof content === "object" && content !== null && "method" in content;
    throw new UserError(
      isOlder
        ? `${this.path} holds an evaluation of an older version`
        : `${this.config}: this is no evaluation`,
      { hint },
    );
  }

  /** Gives the folder back. */
  [Symbol.dispose](): void {
    this.#lock?.[Symbol.dispose]();
  }
}

/** @throws {UserError} when the folder holds something else than this evaluation; hidden files do not count. */
async function expectSame(path: string, { method }: EvalConfig): Promise<void> {
  const names = await writing(path, () => namesIn(path));
  if (names.every((name) => name.startsWith("."))) return;
  const difference = firstDifference(EvalFolder.at(path).savedConfig().method, method);
  if (!difference) return;
  throw new UserError(`${path} holds an evaluation with another ${difference}`, {
    hint: "name another folder with --out",
  });
}
