/**
 * Grading with a symbolic stage: worker threads that a hostile answer may hang or fill, but not harm.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { UserError } from "../base/mod.ts";
import { type Comparison, grade, type GradeOptions, type Reason } from "./grade.ts";
import { type SymbolicQuestion, symbolicQuestion } from "./symbolic.ts";
import type { WorkerMessage } from "./worker.ts";

/** Limits of a pool. */
export interface GradePoolOptions {
  /** Worker threads at most; they start when there is something to ask. Default 2. */
  readonly workers?: number;
  /**
   * Milliseconds that one question may take. Far more than an answer worth deciding needs, so that
   * grades do not depend on how busy the machine is. Default 10,000.
   */
  readonly timeLimit?: number;
  /** MiB of JavaScript heap per worker. Default 512. */
  readonly memoryLimit?: number;
  /** Questions that may wait; more are undecided. Default 65,536. */
  readonly queueLimit?: number;
}

/** What a pool has done so far. */
export interface GradeCounts {
  /** Pairs that neither stage decided, those below included; they count as not equal. */
  readonly undecided: number;
  /** Pairs that the symbolic stage was asked about. */
  readonly symbolic: number;
  /** Questions that met the time limit. */
  readonly time: number;
  /** Questions that met the memory limit. */
  readonly memory: number;
  /** Questions for which the queue had no room. */
  readonly queue: number;
}

/** What a {@linkcode Grader} needs to know of a problem. */
export interface GradedProblem {
  /** The options of a multiple-choice question by letter. */
  readonly choices?: Readonly<Record<string, string>>;
}

/**
 * Whether two answers to a problem are the same one, in either order; asynchronous only where it must be:
 * generation goes on meanwhile.
 */
export type Grader = (a: string, b: string, problem: GradedProblem) => boolean | Promise<boolean>;

interface Job {
  readonly question: SymbolicQuestion;
  readonly resolve: (comparison: Comparison) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Grades like {@linkcode grade}, and asks compute-engine in a worker thread about what that leaves
 * undecided: sums, products, integrals, limits, derivatives.
 *
 * A question that takes too long or too much memory ends its worker, never the process; the next
 * question gets a new one. Nothing is started before the first such question. Needs no permission
 * beyond those for importing this module: `--allow-read` of its folder, or `--allow-import` of its
 * host. A pool that is not disposed of does not keep the process alive.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { GradePool } from "./mod.ts";
 *
 * await using pool = new GradePool();
 * const comparison = await pool.grade("\\sum_{k=1}^{n} k", "\\frac{n(n+1)}{2}");
 * assertEquals(comparison, { equal: true, reason: "symbolic" });
 * ```
 */
export class GradePool implements AsyncDisposable {
  readonly #options: Required<GradePoolOptions>;
  readonly #lanes: Lane[];
  readonly #queue: Job[] = [];
  readonly #counts = { undecided: 0, symbolic: 0, time: 0, memory: 0, queue: 0 };
  #closed = false;

  /** Starts nothing yet. */
  constructor(options: GradePoolOptions = {}) {
    const { workers = 2, timeLimit = 10_000, memoryLimit = 512, queueLimit = 65_536 } = options;
    this.#options = { workers, timeLimit, memoryLimit, queueLimit };
    this.#lanes = Array.from(
      { length: workers },
      () => new Lane(this.#options, () => this.#dispatch()),
    );
  }

  /** What has been done so far. */
  get counts(): GradeCounts {
    return { ...this.#counts };
  }

  /** Worker threads that are running. */
  get running(): number {
    return this.#lanes.filter((lane) => lane.running).length;
  }

  /** This pool as a {@linkcode Grader}. */
  grader(): Grader {
    return (a, b, { choices }) => {
      const decided = this.decide(a, b, { choices });
      return decided instanceof Promise ? decided.then(({ equal }) => equal) : decided.equal;
    };
  }

  /**
   * Starts one worker now, so that what keeps workers from starting shows before it is in the way.
   *
   * @throws {UserError} when the worker cannot be loaded, for want of a permission or the package.
   */
  async ready(): Promise<void> {
    await this.#lanes[0].load();
  }

  /**
   * Compares an answer with the gold answer.
   *
   * @throws {UserError} when the worker cannot be loaded, for want of a permission or the package.
   */
  async grade(
    answer: string | undefined,
    gold: string,
    options?: GradeOptions,
  ): Promise<Comparison> {
    return await this.decide(answer, gold, options);
  }

  /**
   * Like {@linkcode GradePool.grade}, but without a promise where the cheap stages decide, which is
   * nearly always.
   */
  decide(
    answer: string | undefined,
    gold: string,
    options?: GradeOptions,
  ): Comparison | Promise<Comparison> {
    if (this.#closed) throw new Error("the grading pool is closed");
    const comparison = grade(answer, gold, options);
    if (answer === undefined || comparison.reason !== "undecided") return comparison;
    const question = options?.choices ? undefined : symbolicQuestion(answer, gold);
    if (!question) return this.#count(comparison);
    if (this.#queue.length >= this.#options.queueLimit) return this.#undecided("queue");
    this.#counts.symbolic++;
    const { promise, resolve, reject } = Promise.withResolvers<Comparison>();
    this.#queue.push({ question, resolve, reject });
    this.#dispatch();
    return promise;
  }

  /** Ends the workers; questions on their way are undecided. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const { resolve } of this.#queue.splice(0)) resolve(this.#undecided("undecided"));
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #count(comparison: Comparison): Comparison {
    if (!comparison.equal && comparison.reason !== "different") this.#counts.undecided++;
    return comparison;
  }

  #undecided(reason: Reason): Comparison {
    if (reason === "time" || reason === "memory" || reason === "queue") this.#counts[reason]++;
    return this.#count({ equal: false, reason });
  }

  #dispatch(): void {
    if (this.#closed) return;
    // A warm worker before a new one: starting costs more than most questions.
    const idle = this.#lanes.filter((lane) => !lane.busy)
      .sort((a, b) => Number(b.running) - Number(a.running));
    for (const lane of idle) {
      const job = this.#queue.shift();
      if (!job) return;
      void this.#serve(lane, job);
    }
  }

  async #serve(lane: Lane, { question, resolve, reject }: Job): Promise<void> {
    try {
      const answer = await lane.ask(question);
      if (answer === "equal") resolve({ equal: true, reason: "symbolic" });
      else if (answer === "different") resolve({ equal: false, reason: "different" });
      else resolve(this.#undecided(answer === "unknown" ? "undecided" : answer));
    } catch (error) {
      reject(error as Error);
    }
    this.#dispatch();
  }
}

/** What came of a question. */
type Outcome = Exclude<WorkerMessage, "ready"> | "time" | "memory";

/** One worker at a time, replaced when it ends. */
class Lane {
  readonly #options: Required<GradePoolOptions>;
  #worker: Worker | undefined;
  #ready: Promise<void> | undefined;
  #loaded: (() => void) | undefined;
  #settle: ((outcome: Outcome) => void) | undefined;
  #ending: Promise<void> | undefined;
  readonly #onFree: () => void;
  busy = false;

  constructor(options: Required<GradePoolOptions>, onFree: () => void) {
    this.#options = options;
    this.#onFree = onFree;
  }

  get running(): boolean {
    return this.#worker !== undefined;
  }

  /** Loads a worker that waits for a question. */
  async load(): Promise<void> {
    await this.#start();
    if (!this.busy) this.#worker?.unref();
  }

  /** What comes of a question, after the time limit at the latest, plus loading. */
  async ask(question: SymbolicQuestion): Promise<Outcome> {
    this.busy = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      await this.#start();
      const worker = this.#worker;
      if (!worker) return "unknown"; // closed meanwhile
      const outcome = await new Promise<Outcome>((resolve) => {
        this.#settle = resolve;
        timer = setTimeout(() => resolve("time"), this.#options.timeLimit);
        worker.postMessage(question);
      });
      if (outcome === "time") void this.close();
      return outcome;
    } finally {
      clearTimeout(timer);
      this.#settle = undefined;
      this.#worker?.unref();
      this.busy = this.#ending !== undefined;
    }
  }

  /**
   * Ends the worker. A thread inside of one long operation on a huge integer ends only after it: until
   * then the lane takes no question, so that there are never more threads than lanes.
   */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = this.#ready = undefined;
    this.#loaded?.();
    this.#settle?.("unknown");
    if (worker) {
      this.#ending = worker.terminate().then(() => {
        this.#ending = undefined;
        this.busy = false;
        this.#onFree();
      });
    }
    await this.#ending;
  }

  /** A worker that has loaded compute-engine; loading is not on the question's clock. */
  #start(): Promise<void> {
    this.#worker?.ref();
    this.#ready ??= new Promise((resolve, reject) => {
      this.#loaded = resolve;
      // A worker takes no remote URL as its file, but may import one.
      const url = new URL("./worker.ts", import.meta.url).href;
      const worker = new Worker(`import(${JSON.stringify(url)})`, {
        eval: true,
        resourceLimits: { maxOldGenerationSizeMb: this.#options.memoryLimit },
      });
      this.#worker = worker;
      const gone = (error?: Error) => {
        if (this.#worker !== worker) return;
        this.#worker = this.#ready = undefined;
        reject(
          new UserError(`the grading worker did not start: ${error?.message ?? "it ended"}`, {
            hint: `allow reading or importing ${url} and npm:@cortex-js/compute-engine`,
          }),
        );
        this.#settle?.("memory");
      };
      worker.on("error", gone);
      worker.on("exit", () => gone());
      worker.on("message", (message: WorkerMessage) => {
        if (this.#worker !== worker) return;
        if (message === "ready") resolve();
        else this.#settle?.(message);
      });
    });
    return this.#ready;
  }
}
