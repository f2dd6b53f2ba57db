/**
 * A build that is interrupted: Ctrl-C reaches the compilers of a terminal too, but no signal that is sent to
 * this process alone does.
 *
 * @module
 */

const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Name = keyof typeof exitCodes;

/** Thrown when a signal ended a build. */
export class BuildInterrupted extends Error {
  /** Tells it from other errors. */
  override readonly name = "BuildInterrupted";
  /** What a process that was ended by this signal exits with. */
  readonly exitCode: number;

  /** By the name of the signal. */
  constructor(signal: Name) {
    super("interrupted while the kernels were built");
    this.exitCode = exitCodes[signal];
  }
}

/** While it is in use, a signal ends what is built, and then the build, instead of this process at once. */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #listeners = (Object.keys(exitCodes) as Name[]).map((name) =>
    [name, () => this.#controller.abort(new BuildInterrupted(name))] as const
  );

  /** Listens from now on. */
  constructor() {
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
  }

  /** Aborted by the first signal, with a {@linkcode BuildInterrupted}. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * What ended the build: the signal, if there was one.
   *
   * @param cause What a compiler had to say, which a terminal's Ctrl-C ends before this process hears of it.
   */
  async reason(cause: unknown): Promise<unknown> {
    if (!this.signal.aborted) await pause();
    return this.signal.aborted ? this.signal.reason : cause;
  }

  /** Waits for something that others do. */
  async until(done: () => Promise<boolean>): Promise<void> {
    while (!await done()) {
      await pause();
      this.signal.throwIfAborted();
    }
  }

  /** Signals mean again what they meant before. */
  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}
