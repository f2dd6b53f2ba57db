/** The emulator and the sanitizers let no planted bug pass, and report nothing where there is none. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { backends } from "../../native.ts";
import { compile, link, type Mode, runProgram } from "./programs.ts";

/** Where a bug shows first, and how: the exit code and a part of the report. */
type Catch = readonly [mode: Mode, code: number, report: RegExp];

const wrong = /^wrong numbers$/m;
const race = /ThreadSanitizer: data race/;

const bugs: Record<string, Catch[]> = {
  "missing-barrier": [["plain", 1, wrong], ["thread", 99, race]],
  "mask-without-lane": [["plain", 134, /lane 31 calls __shfl_xor_sync with mask 7fffffff/]],
  "lane-missing": [["plain", 1, wrong]],
  "wait-too-weak": [["plain", 1, wrong]],
  "never-waited": [["plain", 134, /returns with 1 cp.async that it never waited for/]],
  "overrun-static": [["address", 99, /use-after-poison/]],
  "overrun-dynamic": [["plain", 139, /^$/], ["address", 99, /heap-buffer-overflow/]],
  "overrun-global": [["address", 99, /use-after-poison/]],
  "use-after-free": [["address", 99, /use-after-poison/]],
  "uninitialised": [["plain", 1, wrong]],
  "diverged-barrier": [["plain", 134, /deadlock in block \(0,0,0\)[^]*wait in __syncthreads at/]],
  "missing-syncwarp": [["plain", 1, wrong], ["thread", 99, race]],
  "race-between-blocks": [["thread", 99, race]],
  "partial-mma": [["plain", 134, /mma by a part of a warp \(lanes 7fffffff\)/]],
  "host-pointer": [["plain", 134, /argument 2 is a pointer that is not device memory/]],
  "too-much-shared": [["plain", 3, /^kernel \w+<<<.*, \d+>>>: CUDA: invalid argument$/m]],
  "unsynchronised-host": [["plain", 1, wrong]],
};

const settings = { THINKER_EMU_LAZY: "1", THINKER_EMU_INTERBLOCK: "1" };

async function catchPlantedBugs(t: Deno.TestContext): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const program = (mode: Mode) => `${dir}/${mode}`;
    await Promise.all((["plain", "address", "thread"] as const).map(async (mode) => {
      await compile(`${import.meta.dirname}/planted.cu`, `${program(mode)}.o`, mode);
      await link([`${program(mode)}.o`], program(mode), mode);
    }));
    for (const [name, catches] of Object.entries(bugs)) {
      await t.step(name, async () => {
        for (const mode of ["plain", "address", "thread"] as const) {
          const { code, text } = await runProgram(program(mode), [name, "right"], settings);
          assertEquals([code, text], [0, "right\n"], mode);
        }
        for (const [mode, code, report] of catches) {
          const outcome = await runProgram(program(mode), [name, "bug"], settings);
          assertMatch(outcome.text, report, mode);
          assertEquals(outcome.code, code, mode);
        }
      });
    }
    const { code, text } = await runProgram(program("plain"), ["no-such-case", "bug"]);
    assert(code === 2 && text.startsWith("usage: "));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

if (backends.includes("emu")) {
  Deno.test("emulator: planted bugs are caught, right kernels are not", catchPlantedBugs);
}
