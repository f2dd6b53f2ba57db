/**
 * What a device was given to do and has not been seen to finish. A GPU reports a failure at some later call,
 * so the message of that call names the candidates.
 *
 * @module
 */

import { Tensor } from "./tensor.ts";

/** An op and what it was given. */
export interface Call {
  readonly op: string;
  readonly args: object;
}

/** A call that was enqueued. Slots are used again, so that noting a call allocates nothing. */
interface Enqueued {
  stream: bigint;
  op: string;
  args: object;
  number: number;
}

/** Calls that are remembered: about as many as a GPU's queue holds. */
const remembered = 1024;

/** The last calls of a device's streams. */
export class Trail {
  readonly #calls: Enqueued[] = [];
  /** By stream: calls below this number have run. */
  readonly #finished = new Map<bigint, number>();
  #count = 0;

  /** Calls so far. */
  get count(): number {
    return this.#count;
  }

  /** Notes a call that was enqueued on the stream. */
  add(stream: bigint, op: string, args: object): void {
    const number = this.#count++, slot = number % remembered;
    if (slot === this.#calls.length) {
      this.#calls.push({ stream, op, args, number });
      return;
    }
    const call = this.#calls[slot];
    call.stream = stream;
    call.op = op;
    call.args = args;
    call.number = number;
  }

  /** The stream has been waited for: its calls with a number below `count` have run. */
  finish(stream: bigint, count: number): void {
    this.#finished.set(stream, Math.max(count, this.#finished.get(stream) ?? 0));
  }

  /** The stream is closed. Another one may get its handle. */
  close(stream: bigint): void {
    this.finish(stream, this.#count);
  }

  /** The calls that have not been seen to finish, the latest first. */
  toString(): string {
    const open = this.#calls
      .filter(({ stream, number }) => number >= (this.#finished.get(stream) ?? 0))
      .sort((a, b) => b.number - a.number);
    if (open.length === 0) return "nothing was enqueued since the last wait";
    const older = open.length === remembered ? "; and older ones" : "";
    return `enqueued since the last wait, the latest first: ${summary(open)}${older}`;
  }
}

/** The ops of some calls in the order of their first appearance, each with the tensors of that call. */
export function summary(calls: readonly Call[]): string {
  const counts = new Map<string, number>();
  for (const { op } of calls) counts.set(op, (counts.get(op) ?? 0) + 1);
  return [...counts].map(([op, count]) => {
    const { args } = calls.find((call) => call.op === op)!;
    const text = describeCall(op, args, (value) => value instanceof Tensor);
    return count === 1 ? text : `${count} x ${text}`;
  }).join(", ");
}

/** A call with what it was given, or the part of that which is shown: `cast(dst bf16[6], src f32[6])`. */
export function describeCall(
  op: string,
  args: object,
  isShown: (value: unknown) => boolean = (value) => value !== undefined,
): string {
  const parts = describeArguments(args, isShown);
  return parts.length === 0 ? op : `${op}(${parts.join(", ")})`;
}

/** Tensors and the like describe themselves; of other objects, the parts. */
function describeArguments(args: object, isShown: (value: unknown) => boolean): string[] {
  return Object.entries(args).flatMap(([name, value]) => {
    const isGroup = typeof value === "object" && value.toString === Object.prototype.toString;
    if (isGroup) return describeArguments(value, isShown);
    return isShown(value) ? [`${name} ${value}`] : [];
  });
}
