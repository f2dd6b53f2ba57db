/**
 * Waiting that ends when it is called off.
 *
 * @module
 */

/**
 * What a promise comes to, or the signal's reason as soon as it aborts. What is still pending then goes on
 * unheard.
 */
export async function untilAborted<T>(pending: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return await pending;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  // The event comes once: of a signal that aborted before nothing more is heard.
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([aborted, pending]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
