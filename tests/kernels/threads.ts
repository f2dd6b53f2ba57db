/** The contract that the number of threads changes no bit. */
import { assertSameBits, Lab } from "../native.ts";

/** Runs the body on devices with 1, 2 and 3 threads and compares everything it returns bit by bit. */
export async function assertSameForAnyThreads(
  body: (lab: Lab) => Promise<Float32Array[]>,
): Promise<void> {
  const run = async (threads: number) => {
    using lab = await Lab.open({ threads });
    return await body(lab);
  };
  const expected = await run(1);
  for (const threads of [2, 3]) {
    const actual = await run(threads);
    expected.forEach((e, i) => assertSameBits(actual[i], e, `result ${i} with ${threads} threads`));
  }
}
