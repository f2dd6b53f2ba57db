/**
 * One worker thread of a pool: its start, its questions, its clock and its end.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { reason, UserError } from "../base/mod.ts";
import type { SymbolicQuestion } from "./symbolic.ts";
import type { WorkerMessage } from "./worker.ts";

/** Limits of a worker. */
export interface LaneOptions {
  /** Milliseconds that one question may take. */
  readonly timeLimit: number;
  /** MiB of JavaScript heap. */
  readonly memoryLimit: number;
}

/** Ticks of the clock within a time limit. */
const TICKS = 40;

/**
 * Calls `onEnd` after so many milliseconds during which this process ran. A tick that comes late says
 * that it did not run (a closed lid, SIGSTOP, a debugger), the worker no more than this thread: of
 * such a gap only one tick counts.
 */
function startClock(limit: number, onEnd: () => void): { stop(): void } {
  const tick = limit / TICKS;
  let left = TICKS, timer: ReturnType<typeof setTimeout>;
  const next = () => {
    timer = setTimeout(() => --left > 0 ? next() : onEnd(), tick);
  };
  next();
  return { stop: () => clearTimeout(timer) };
}

/** What came of a question. */
export type Outcome = Exclude<WorkerMessage, "ready"> | "time" | "memory";

/** One worker at a time, replaced when it ends. */
export class Lane {
  readonly #options: LaneOptions;
  #worker: Worker | undefined;
  #ready: Promise<void> | undefined;
  #loaded: (() => void) | undefined;
  #settle: ((outcome: Outcome) => void) | undefined;
  #ending: Promise<void> | undefined;
  readonly #onFree: () => void;
  /** Whether it takes no question now. */
  busy = false;

  /**
   * Starts nothing yet.
   *
   * @param onFree Called when a worker that was ended has gone.
   */
  constructor(options: LaneOptions, onFree: () => void) {
    this.#options = options;
    this.#onFree = onFree;
  }

  /** Whether there is a worker. */
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
    let clock: ReturnType<typeof startClock> | undefined;
    try {
      await this.#start();
      const worker = this.#worker;
      if (!worker) return "unknown"; // closed meanwhile
      const outcome = await new Promise<Outcome>((resolve) => {
        this.#settle = resolve;
        clock = startClock(this.#options.timeLimit, () => resolve("time"));
        worker.postMessage(question);
      });
      if (outcome === "time") void this.close();
      return outcome;
    } finally {
      clock?.stop();
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
          new UserError(`the grading worker did not start: ${reason(error ?? "it ended")}`, {
            hint: `allow reading or importing ${url}, and once the network for ` +
              "npm:@cortex-js/compute-engine: `deno cache --lock=deno.lock src/grade/worker.ts`",
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
