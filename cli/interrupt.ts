/**
 * Ctrl-C: the first one asks the work to stop at the next safe point, the second one ends the process.
 *
 * @module
 */

/** Thrown through a command that was interrupted; the process exits with 130. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** Runs the body with a signal that Ctrl-C aborts. */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) Deno.exit(130);
    controller.abort(new Interrupted("interrupted"));
  };
  const signals: Deno.Signal[] = ["SIGINT", "SIGTERM"];
  for (const name of signals) Deno.addSignalListener(name, onSignal);
  try {
    return await body(controller.signal);
  } finally {
    for (const name of signals) Deno.removeSignalListener(name, onSignal);
  }
}
