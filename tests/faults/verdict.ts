/** What came of a fault: the one place that says what is right and what is wrong. */

/** How a process ended. */
export interface Ended {
  readonly code: number;
  /** The signal that it died of. */
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** It was still running when its time was up. */
  readonly hung: boolean;
}

/** All that may come of a fault, from the best to the worst. */
export const outcomes = [
  "refused", // exit 1 and one line; what was there is as good as before
  "recovered", // exit 0, the true result, and a line that names the fault
  "equal", // exit 0 and the true result
  "warned", // exit 0 and another result, but a line names the fault
  "silent wrong", // exit 0, another result, and not a word
  "crashed", // a stack trace, death by a signal that nobody sent, no end at all, steps lost
] as const;

/** One of {@linkcode outcomes}. */
export type Outcome = typeof outcomes[number];

/** An outcome with what there is to know of it. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly detail: string;
}

/** A verdict on one fault of a class. */
export interface Trial extends Verdict {
  /** The fault in words. */
  readonly fault: string;
}

const stackTrace = /\n\s+at .+:\d+:\d+|Uncaught|panicked at|Segmentation fault/;
/** The whole of what is said at the end: one line and perhaps a hint. */
const oneLine = /(?:^|\n)(error: [^\n]+)\n(?:hint: [^\n]+\n)?$/;

/**
 * Judges an end.
 *
 * @param different Where the result differs from the true one; undefined where it does not.
 * @param says What a line must say to name the fault.
 */
export function judge(ended: Ended, different: string | undefined, says?: RegExp): Verdict {
  const { code, signal, stderr, hung } = ended;
  const last = stderr.trimEnd().split("\n").at(-1) ?? "";
  if (hung) return { outcome: "crashed", detail: `hung; last line: ${last}` };
  if (signal) return { outcome: "crashed", detail: `died of ${signal}` };
  const trace = stackTrace.exec(stderr);
  if (trace) return { outcome: "crashed", detail: firstLine(stderr, /error|panick/i) };
  if (code !== 0) {
    const [, line] = oneLine.exec(stderr) ?? [];
    if (line && stderr.match(/^error: /gm)?.length === 1) {
      return { outcome: "refused", detail: line };
    }
    return { outcome: "crashed", detail: `exit ${code} without one clear line: ${last}` };
  }
  const said = says && stderr.split("\n").find((line) => says.test(line));
  if (different === undefined) return { outcome: said ? "recovered" : "equal", detail: said ?? "" };
  if (said) return { outcome: "warned", detail: `${different}; said: ${said}` };
  return { outcome: "silent wrong", detail: different };
}

/** The worst of several verdicts on one fault. */
export function worst(verdicts: readonly Verdict[]): Verdict {
  return verdicts.toSorted((a, b) => outcomes.indexOf(b.outcome) - outcomes.indexOf(a.outcome))[0];
}

/** Whether a verdict is one that must not be. */
export function isBad({ outcome }: Verdict): boolean {
  return outcome === "silent wrong" || outcome === "crashed";
}

function firstLine(text: string, pattern: RegExp): string {
  return text.split("\n").find((line) => pattern.test(line)) ?? text.split("\n")[0];
}
