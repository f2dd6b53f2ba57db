/** The contract that neither the number of threads nor their order changes a bit. */
import type { Backend } from "../../ffi/mod.ts";
import { assertSameBits, Lab } from "../native.ts";

/** Runs the body with the emulator's threads in this order. */
async function inOrder<T>(order: string, body: () => Promise<T>): Promise<T> {
  const name = "THINKER_EMU_ORDER", before = Deno.env.get(name);
  Deno.env.set(name, order);
  try {
    return await body();
  } finally {
    if (before === undefined) Deno.env.delete(name);
    else Deno.env.set(name, before);
  }
}

/**
 * Compares everything the body returns bit by bit: on the CPU between devices with 1, 2 and 3 threads,
 * on the emulator between threads in forward, reverse and random order, on a GPU between two runs.
 */
export async function assertSameForAnyThreads(
  backend: Backend,
  body: (lab: Lab) => Promise<Float32Array[]>,
): Promise<void> {
  const run = async (threads?: number) => {
    using lab = await Lab.open({ backend, threads });
    return await body(lab);
  };
  const variants: Record<Backend, Record<string, () => Promise<Float32Array[]>>> = {
    cpu: { "1 thread": () => run(1), "2 threads": () => run(2), "3 threads": () => run(3) },
    emu: Object.fromEntries(
      ["forward", "reverse", "random"].map((order) => [order, () => inOrder(order, run)]),
    ),
    cuda: { "the first run": run, "the second run": run },
  };
  let expected: Float32Array[] | undefined;
  for (const [name, variant] of Object.entries(variants[backend])) {
    const actual = await variant();
    expected ??= actual;
    expected.forEach((e, i) => assertSameBits(actual[i], e, `result ${i}: ${name}`));
  }
}
