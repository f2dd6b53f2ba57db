/**
 * Results of a GPU run: one line of JSON each, appended as soon as it is there, so that a run which is cut
 * off keeps what it measured.
 *
 * @module
 */
import { reportFailure } from "../../cli/failure.ts";
import { JsonlWriter, reason, unfold } from "../../src/base/mod.ts";
import { formatShare } from "../report.ts";

/** What was measured of a case. */
export interface Measured {
  readonly seconds: number;
  /** FLOPs, bytes or tokens a second. */
  readonly rate?: number;
  readonly unit?: "FLOP/s" | "B/s" | "tokens/s";
  /** Share of the bound. */
  readonly share?: number;
  /** Largest difference between a token's log-prob while sampling and while training. */
  readonly gap?: number;
}

/** What a peer has to do for the same work: the name and arguments of its case. */
export type Peer = Readonly<Record<string, string | number>>;

/** One line of the results. A case that was not measured says why. */
export interface Line extends Partial<Measured> {
  readonly part: string;
  readonly op: string;
  readonly shape: string;
  readonly error?: string;
  readonly skipped?: string;
  /** A test that passed. */
  readonly passed?: true;
}

/** What a failure says of the device: that it fails now, or that it had failed before. */
export function faultIn(message: string): "now" | "before" | undefined {
  if (message.includes("the GPU context is lost")) return "now";
  return message.includes("not run, because the GPU failed before") ? "before" : undefined;
}

/** `12.3 µs`, or seconds where there are some. */
export function formatSeconds(seconds: number): string {
  return seconds < 1 ? `${(1e6 * seconds).toFixed(1)} µs` : `${seconds.toFixed(2)} s`;
}

/** A line for people. */
export function formatLine(line: Line): string {
  const { op, shape, seconds, rate, unit, share, gap, error, skipped, passed } = line;
  const cells = [op.padEnd(32), shape.padEnd(28)];
  if (error !== undefined) cells.push(`ERROR: ${error}`);
  if (skipped !== undefined) cells.push(`skipped: ${skipped}`);
  if (seconds !== undefined) cells.push(formatSeconds(seconds).padStart(12));
  if (rate !== undefined) {
    const scaled = unit === "tokens/s" ? [rate, unit] as const : [rate / 1e12, `T${unit}`] as const;
    cells.push(`${scaled[0].toPrecision(3)} ${scaled[1]}`.padStart(16));
  }
  if (share !== undefined) cells.push(`${formatShare(share)} of bound`);
  if (passed) cells.push("ok");
  if (gap !== undefined) cells.push(`log-prob gap ${gap}`);
  return cells.join("  ");
}

/** Prints and appends the lines of one part. */
export class Recorder implements Disposable {
  readonly #part: string;
  readonly #file: JsonlWriter | undefined;
  /** Cases that threw. */
  failed = 0;
  /** Whether the device has failed: no call of this process succeeds any more. */
  lost = false;

  /** Without a path the lines are printed only. */
  constructor(part: string, path?: string) {
    this.#part = part;
    this.#file = path ? new JsonlWriter(path) : undefined;
  }

  /** Keeps a line. */
  write(line: Omit<Line, "part">): void {
    const whole = { part: this.#part, ...line };
    console.log(formatLine(whole));
    this.#file?.write(whole);
  }

  /** Keeps what was thrown instead of a result: a line, and on standard error all that is known. */
  fail({ op, shape }: { op: string; shape: string }, thrown: unknown): void {
    this.failed++;
    const error = unfold(thrown).map(reason).join("; then ");
    this.lost ||= faultIn(error) !== undefined;
    this.write({ op, shape, error });
    if (thrown instanceof Error) reportFailure(thrown);
  }

  /** Measures a case and keeps what came out. An error is a line too: the next case is still wanted. */
  async measure(
    { op, shape }: { op: string; shape: string },
    body: () => Promise<Measured>,
  ): Promise<void> {
    try {
      this.write({ op, shape, ...await body() });
    } catch (error) {
      this.fail({ op, shape }, error);
    }
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file?.close();
  }
}
