/**
 * Ctrl-C, a request to end (SIGTERM) and a terminal that is closed (SIGHUP): the first one asks the work to
 * stop at the next safe point, the second one ends the process.
 *
 * @module
 */

/** The signals, each with the code that the process then exits with: 128 and the signal's number. */
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Thrown through a command that was interrupted. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  /** What the process exits with. */
  readonly exitCode: number;

  /** By the signal that came first. */
  constructor(signal: keyof typeof exitCodes) {
    super("interrupted");
    this.exitCode = exitCodes[signal];
  }
}

/** Runs the body with a signal that those of the system abort. */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const names = Object.keys(exitCodes) as (keyof typeof exitCodes)[];
  const listeners = names.map((name) =>
    [name, () => {
      if (controller.signal.aborted) Deno.exit(exitCodes[name]);
      controller.abort(new Interrupted(name));
    }] as const
  );
  for (const [name, listener] of listeners) Deno.addSignalListener(name, listener);
  try {
    return await body(controller.signal);
  } finally {
    for (const [name, listener] of listeners) Deno.removeSignalListener(name, listener);
  }
}
