/**
 * Grading with a symbolic stage: worker threads that a hostile answer may hang or fill, but not harm.
 *
 * @module
 */
import { type Comparison, grade, type GradeOptions, type Reason } from "./grade.ts";
import { Lane, type Outcome } from "./lane.ts";
import { type SymbolicQuestion, symbolicQuestion } from "./symbolic.ts";

/** Limits of a pool. */
export interface GradePoolOptions {
  /** Worker threads at most; they start when there is something to ask. Default 2. */
  readonly workers?: number;
  /**
   * Milliseconds that one question may take while the process runs. Far more than an answer worth
   * deciding needs, so that grades do not depend on how busy the machine is. Default 10,000.
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
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: Error) => void;
}

/** Questions whose outcome is remembered. */
const MEMORY = 4096;

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
 * const comparison = await pool.grade("\\int_0^1 x dx", "\\frac12");
 * assertEquals(comparison, { equal: true, reason: "symbolic" });
 * ```
 */
export class GradePool implements AsyncDisposable {
  readonly #options: Required<GradePoolOptions>;
  readonly #lanes: Lane[];
  readonly #queue: Job[] = [];
  /** What came, or will come, of the latest questions; a hard one is worked on once. */
  readonly #outcomes = new Map<string, Promise<Outcome>>();
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
    const outcome = this.#outcome(question);
    if (!outcome) return this.#undecided("queue");
    this.#counts.symbolic++;
    return outcome.then((found) => {
      if (found === "equal") return { equal: true, reason: "symbolic" };
      if (found === "different") return { equal: false, reason: "different" };
      return this.#undecided(found === "unknown" ? "undecided" : found);
    });
  }

  /** What comes of a question; `undefined` when the queue is full. */
  #outcome(question: SymbolicQuestion): Promise<Outcome> | undefined {
    const key = JSON.stringify([question.a, question.b].sort());
    const known = this.#outcomes.get(key);
    if (!known && this.#queue.length >= this.#options.queueLimit) return undefined;
    const outcome = known ?? new Promise<Outcome>((resolve, reject) => {
      this.#queue.push({ question, resolve, reject });
      this.#dispatch();
    });
    // Asked last, forgotten last.
    this.#outcomes.delete(key);
    this.#outcomes.set(key, outcome);
    if (this.#outcomes.size > MEMORY) this.#outcomes.delete(this.#outcomes.keys().next().value!);
    // What kept a worker from starting may be mended by the next time.
    if (!known) outcome.catch(() => this.#outcomes.delete(key));
    return outcome;
  }

  /** Ends the workers; questions on their way are undecided. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const { resolve } of this.#queue.splice(0)) resolve("unknown");
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
      resolve(await lane.ask(question));
    } catch (error) {
      reject(error as Error);
    }
    this.#dispatch();
  }
}
