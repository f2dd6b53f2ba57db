/**
 * Calling a task's tools, so that whatever they do the episode goes on.
 *
 * @module
 */
import type { Segment, TaskProblem, Tool } from "./types.ts";

/** What tools did in a rollout. */
export interface ToolCounts {
  /** Calls in all. */
  calls: number;
  /** Calls that threw or gave no string; the model read `(the tool failed)`. */
  failed: number;
  /** Calls that were late; the model read `(the tool took too long)`. Only they depend on the clock. */
  late: number;
}

const late = "(the tool took too long)";

/** The text of a tool: its own, or a fixed one where it fails or is late. */
export async function callTool(tool: Tool, of: {
  readonly turns: readonly Segment[];
  readonly problem: TaskProblem;
  readonly counts: ToolCounts;
  /** Ends the wait when the whole rollout ends; once it has ended, no tool is called. */
  readonly signal?: AbortSignal;
}): Promise<string> {
  const { turns, problem, counts } = of;
  // The event below comes once: of a signal that aborted before nothing more is heard.
  if (of.signal?.aborted) return late;
  const clock = new AbortController(), { promise: over, resolve } = Promise.withResolvers<null>();
  const signal = of.signal ? AbortSignal.any([of.signal, clock.signal]) : clock.signal;
  const timer = setTimeout(() => clock.abort(), 1000 * (tool.seconds ?? 10));
  signal.addEventListener("abort", () => resolve(null));
  counts.calls++;
  // A tool that gives up when its time is over is late, however it says so.
  const call = async () => {
    const text: unknown = await tool.call(turns, problem, signal);
    // A forgotten return must not have the model read "undefined".
    if (typeof text !== "string") throw new TypeError("the tool gave no string");
    return text;
  };
  const text = await Promise.race([call().catch(() => signal.aborted ? null : undefined), over]);
  clearTimeout(timer);
  if (text === null) counts.late++;
  if (text === undefined) counts.failed++;
  return text ?? (text === null ? late : "(the tool failed)");
}
