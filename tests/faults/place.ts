/** A workplace: what is run there, what truly comes of it, and how far something is. */
import { cp } from "node:fs/promises";
import { Random } from "../../src/base/mod.ts";
import { type Start, start } from "../cli/thinker.ts";
import { smallConfig } from "../e2e/small.ts";
import { difference, evalRemains, type Remains, runRemains } from "./remains.ts";
import { type Ended, judge, type Verdict } from "./verdict.ts";

/** Something that is begun, goes on after a fault, and leaves a folder. */
export interface Subject {
  /** The command without `--out`. */
  readonly begin: readonly string[];
  readonly goOn: readonly string[];
  readonly remains: (dir: string) => Promise<Remains>;
  /** What it leaves when nothing happens to it. */
  readonly truth: Remains;
  /** A folder in which nothing happened, relative to the place. */
  readonly whole: string;
  /** Milliseconds that it took. */
  readonly ms: number;
}

/** Steps of the small runs, and after how many of them they save. */
export const steps = 8, saveEvery = 2;

/** What a child may take, in milliseconds; a build of the kernels takes twelve seconds of two cores. */
const timeLimit = 120_000;

/** A run of a second that learns something: sums, a warm start, eight steps. */
const toy = smallConfig({
  steps,
  saveEvery,
  evalEvery: 2,
  evalProblems: 200,
  warmstart: { steps: 60, lr: 8e-3 },
});

/** The same on rows of a file, in words of one's own, from a model folder that the penalty refers to. */
const rows = {
  ...toy,
  model: "models/start",
  data: "data/rows.jsonl",
  prompts: "data/prompts.json",
  ppo: { ...toy.ppo, klCoefficient: 0.01 },
};

const words = {
  fast: "{question} fast",
  verify: "check it",
  slow: "think",
  summary: "brief",
  answer: "{question}",
};

/** A temporary folder in which the command runs. Relative paths of faults are relative to it. */
export class Place implements AsyncDisposable {
  readonly path: string;
  readonly random: Random;
  #folders = 0;

  private constructor(path: string, random: Random) {
    this.path = path;
    this.random = random;
  }

  /** Makes the folder with its configs and data. */
  static async make(random: Random): Promise<Place> {
    const place = new Place(await Deno.makeTempDir({ prefix: "thinker-faults-" }), random);
    for (const dir of ["runs", "models", "data/eval"]) {
      await Deno.mkdir(place.at(dir), { recursive: true });
    }
    const draws = new Random(1),
      sums = Array.from({ length: 200 }, (_, i) => {
        const [a, b] = [draws.int(1, 99), draws.int(1, 99)];
        return JSON.stringify({ id: String(i), question: `${a}+${b}=`, answer: String(a + b) });
      });
    await place.write("toy.json", JSON.stringify(toy));
    await place.write("other-seed.json", JSON.stringify({ ...toy, seed: toy.seed + 1 }));
    await place.write("rows.json", JSON.stringify(rows));
    await place.write("data/prompts.json", JSON.stringify(words));
    await place.write("data/rows.jsonl", sums.join("\n") + "\n");
    await place.write("data/eval/sums.jsonl", sums.slice(0, 100).join("\n") + "\n");
    return place;
  }

  /** The absolute path of a file or folder of the place. */
  at(path: string): string {
    return `${this.path}/${path}`;
  }

  /** Writes a file of the place. */
  write(path: string, text: string): Promise<void> {
    return Deno.writeTextFile(this.at(path), text);
  }

  /** A name below `runs/` that is not taken. */
  folder(): string {
    return `runs/${++this.#folders}`;
  }

  /** Runs a subject to its end where nothing happens to it. */
  async observe(of: Pick<Subject, "begin" | "goOn" | "remains">): Promise<Subject> {
    const whole = this.folder(), began = performance.now();
    const { code, stderr } = await this.run([...of.begin, "--out", whole]);
    if (code !== 0) throw new Error(`${of.begin.join(" ")} ends with ${code}: ${stderr}`);
    const ms = performance.now() - began;
    return { ...of, truth: await of.remains(this.at(whole)), whole, ms };
  }

  /** The run on sums. */
  observeToy(): Promise<Subject> {
    const begin = ["train", "--config", "toy.json"];
    return this.observe({ begin, goOn: ["train", "--resume"], remains: runRemains });
  }

  /** The run on rows. */
  observeRows(): Promise<Subject> {
    const begin = ["train", "--config", "rows.json"];
    return this.observe({ begin, goOn: ["train", "--resume"], remains: runRemains });
  }

  /** An evaluation, which goes on by being called again. */
  observeEvaluation(): Promise<Subject> {
    const asked = ["--model", "models/start", "--data", "data/eval", "--bench", "sums"];
    const begin = ["eval", ...asked, "--samples", "8", "--parallel", "8"];
    return this.observe({ begin, goOn: begin, remains: evalRemains });
  }

  /** Copies a checkpoint to where a model stands. */
  async takeModel(checkpoint: string, model: string): Promise<void> {
    await cp(this.at(checkpoint), this.at(model), { recursive: true });
    await this.remove(`${model}/trainer`);
  }

  /** A folder of its own with all that a subject left where nothing happened to it. */
  async copy({ whole }: Subject): Promise<string> {
    const dir = this.folder();
    await cp(this.at(whole), this.at(dir), { recursive: true });
    return dir;
  }

  /** A run as a kill leaves it while it saves the step after `step`: all lines, later checkpoints gone. */
  async half(subject: Subject, step: number): Promise<string> {
    const dir = await this.copy(subject);
    for (const name of names(this.at(`${dir}/checkpoints`))) {
      if (Number(name.slice("step-".length)) > step) {
        await this.remove(`${dir}/checkpoints/${name}`);
      }
    }
    await this.#unreport(dir);
    return dir;
  }

  /** An evaluation as a kill leaves it: some answers. */
  async halfAnswered(subject: Subject): Promise<string> {
    const dir = await this.copy(subject), file = `${dir}/answers.jsonl`;
    const answers = (await Deno.readTextFile(this.at(file))).split("\n");
    await this.write(file, answers.slice(0, answers.length / 2).join("\n") + "\n");
    await this.#unreport(dir);
    return dir;
  }

  async #unreport(dir: string): Promise<void> {
    const written = names(this.at(dir)).filter((name) => /^(report|results)\./.test(name));
    for (const name of written) await this.remove(`${dir}/${name}`);
  }

  /** Removes a file or a folder of the place. */
  remove(path: string): Promise<void> {
    return Deno.remove(this.at(path), { recursive: true });
  }

  /** Starts the command in the place. */
  start(args: readonly string[], options: Start = {}): Promise<Deno.ChildProcess> {
    return start(args, { cwd: this.path, ...options });
  }

  /** Runs the command to its end. */
  async run(args: readonly string[], options: Start = {}): Promise<Ended> {
    return await end(await this.start(args, options));
  }

  /** Where what a subject left in a folder differs from the truth. */
  async differs(subject: Subject, dir: string): Promise<string | undefined> {
    return difference(await subject.remains(this.at(dir)), subject.truth);
  }

  /** Goes on in a folder and judges what came of it. */
  async goOn(subject: Subject, dir: string, says?: RegExp, options: Start = {}): Promise<Verdict> {
    const ended = await this.run([...subject.goOn, "--out", dir], options);
    return judge(ended, ended.code === 0 ? await this.differs(subject, dir) : undefined, says);
  }

  /**
   * Goes on in a folder with a fault. Where that is refused the fault is taken away, and what then comes
   * must be the true result: a refusal may cost nothing.
   */
  async tryFault(
    subject: Subject,
    dir: string,
    { says, repair, options }: {
      says?: RegExp;
      repair: () => Promise<void>;
      options?: Start;
    },
  ): Promise<Verdict> {
    const verdict = await this.goOn(subject, dir, says, options);
    await repair();
    if (verdict.outcome !== "refused") return verdict;
    const after = await this.goOn(subject, dir);
    if (["equal", "recovered"].includes(after.outcome)) return verdict;
    return { ...after, detail: `refused (${verdict.detail}), and when mended: ${after.detail}` };
  }

  /** Removes the place. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** Waits for the end of a process, but not for ever. */
export async function end(child: Deno.ChildProcess): Promise<Ended> {
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL");
  }, timeLimit);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, signal, stdout: text(stdout), stderr: text(stderr), hung };
}

/** The names in a folder; none where there is none. */
export function names(dir: string): string[] {
  try {
    return [...Deno.readDirSync(dir)].map(({ name }) => name);
  } catch {
    return [];
  }
}

/** How far a run has come, as its folder shows from outside. */
export interface Look {
  /** Its config is there. */
  readonly begun: boolean;
  /** Lines of the warm start, of steps, and answers of an evaluation. */
  readonly warm: number;
  readonly logged: number;
  readonly answered: number;
  /** The step of the newest checkpoint; -1 before the first. */
  readonly saved: number;
  /** A step is saved whose evaluation is still to come. */
  readonly pending: boolean;
  /** A checkpoint is half written. */
  readonly saving: boolean;
}

/** Looks at a run. */
export function look(dir: string): Look {
  const lines = (name: string) => {
    try {
      return Deno.readTextFileSync(`${dir}/${name}.jsonl`).split("\n").length - 1;
    } catch {
      return 0;
    }
  };
  const inside = names(`${dir}/checkpoints`);
  const saved = inside.flatMap((name) => /^step-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  return {
    begun: names(dir).includes("config.json"),
    warm: lines("warmstart"),
    logged: lines("metrics"),
    answered: lines("answers"),
    saved: Math.max(-1, ...saved),
    pending: names(dir).includes("pending.json"),
    saving: inside.some((name) => name.startsWith(".")),
  };
}

/** A moment of a process: `ms` milliseconds after `when` first holds. */
export interface Moment {
  readonly name: string;
  readonly when: (now: Look) => boolean;
  readonly ms: number;
}

/** Sends a signal at a moment. `hit` tells whether the process was still running then. */
export async function interrupt(
  child: Deno.ChildProcess,
  dir: string,
  { when, ms }: Moment,
  signal: Deno.Signal,
): Promise<{ hit: boolean; after: number; ended: Ended }> {
  let over = false;
  const ending = end(child).finally(() => over = true);
  while (!over && !when(look(dir))) await sleep(1);
  await sleep(ms);
  const hit = !over, sent = performance.now();
  if (hit) child.kill(signal);
  const ended = await ending;
  return { hit, after: performance.now() - sent, ended };
}

/** Waits some milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
