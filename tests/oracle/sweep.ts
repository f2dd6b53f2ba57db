/**
 * A sweep over small model folders of every kind that people have: each must compute transformers' logits or
 * be refused in one line, before anything runs.
 */
import { join } from "node:path";
import { UserError } from "../../src/base/mod.ts";
import { type Decoder, loadDecoder } from "../../src/model/mod.ts";
import { logits, readArrays } from "../model/oracle.ts";
import { Lab } from "../native.ts";
import type { Python } from "./python.ts";

/** Largest difference of a logit, as a share of the largest logit: float32 with another order of sums. */
const tolerance = 1e-5;

/** What sweep.py says of a folder. */
interface Case {
  /** A part of the line that refuses it; null where its logits are to be those of transformers. */
  readonly refusal: string | null;
  /** Why transformers does not load it, if it does not. */
  readonly transformers: string | null;
}

/** The largest difference as a share of the largest expected value; NaN counts as infinite. */
function difference(actual: Float32Array, expected: ArrayLike<number>): number {
  let most = 0, largest = 0;
  actual.forEach((value, i) => {
    const off = Math.abs(value - expected[i]);
    most = Math.max(most, Number.isNaN(off) ? Infinity : off);
    largest = Math.max(largest, Math.abs(expected[i]));
  });
  return actual.length === expected.length ? most / largest : Infinity;
}

/** What a folder came to: undefined where it is as it should be. */
async function fault(lab: Lab, dir: string, { refusal }: Case): Promise<string | undefined> {
  let decoder: Decoder;
  try {
    decoder = loadDecoder(lab.stream, dir, { head: "lm", train: false });
  } catch (error) {
    if (!(error instanceof UserError)) return `fails with ${Deno.inspect(error)}`;
    if (refusal === null) return `is refused: ${error.message}`;
    if (error.message.includes("\n")) return `is refused in several lines: ${error.message}`;
    if (!error.hint) return `is refused without a way out: ${error.message}`;
    return error.message.includes(refusal) ? undefined : `is refused otherwise: ${error.message}`;
  }
  using _decoder = decoder;
  if (refusal !== null) return `is not refused (${refusal})`;
  const { ids, lengths, logits: expected } = readArrays(join(dir, "expected.st"));
  const off = difference(await logits(lab, decoder, ids, [...lengths]), expected);
  return off <= tolerance ? undefined : `differs by ${off.toExponential(1)} of the largest logit`;
}

/** The sweep; returns its count, throws an error that names every folder that is not as it should be. */
export async function checkSweep(python: Python): Promise<string> {
  const dir = Deno.makeTempDirSync();
  try {
    await python.script("sweep.py", dir);
    using lab = await Lab.open();
    const faults: string[] = [], reasons = new Map<string, number>();
    let equal = 0;
    for (const { name } of [...Deno.readDirSync(dir)].sort((a, b) => a.name < b.name ? -1 : 1)) {
      const each: Case = JSON.parse(Deno.readTextFileSync(join(dir, name, "case.json")));
      const found = each.refusal === null && each.transformers !== null
        ? `does not load in transformers: ${each.transformers}`
        : await fault(lab, join(dir, name), each);
      if (found !== undefined) faults.push(`${name} ${found}`);
      else if (each.refusal === null) equal++;
      else reasons.set(each.refusal, (reasons.get(each.refusal) ?? 0) + 1);
    }
    const refused = [...reasons.values()].reduce((a, b) => a + b, 0);
    const list = [...reasons].map(([reason, n]) => n > 1 ? `${reason} ×${n}` : reason).join("; ");
    const count = `${equal} equal, ${refused} refused (${list})`;
    if (faults.length > 0) {
      throw new Error(`${count}, ${faults.length} wrong:\n${faults.join("\n")}`);
    }
    return count;
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}
