/** Builds programs of CUDA sources with the emulator, with and without a sanitizer, and runs them. */
import { assert } from "@std/assert";

/** How a program is instrumented. */
export type Mode = "plain" | "address" | "thread";

const flags: Record<Mode, string[]> = {
  plain: ["-O1"],
  address: ["-O1", "-g", "-fsanitize=address"],
  thread: ["-O1", "-g", "-fsanitize=thread"],
};
const root = new URL("../../../", import.meta.url).pathname;
const includes = ["kernels/emu", "kernels/cuda", "kernels/include"].map((dir) => `-I${root}${dir}`);
const common = ["-std=c++17", "-march=native", "-ffp-contract=off", "-Wno-unknown-pragmas"];

async function gpp(args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("g++", { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** Compiles one source; `headers` is a folder whose headers take precedence. */
export async function compile(
  source: string,
  object: string,
  mode: Mode,
  headers?: string,
): Promise<void> {
  const first = headers ? [`-I${headers}`] : [];
  const args = ["-x", "c++", ...common, ...flags[mode], ...first, ...includes];
  await gpp([...args, "-c", source, "-o", object]);
}

/** Links objects into a program. */
export async function link(objects: readonly string[], program: string, mode: Mode): Promise<void> {
  await gpp([...flags[mode], ...objects, "-o", program, "-pthread"]);
}

/** What a program did. */
export interface Outcome {
  readonly code: number;
  readonly text: string;
}

/** Runs a program; sanitizers stop at the first finding with exit code 99. */
export async function runProgram(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Outcome> {
  const { code, stderr, stdout } = await new Deno.Command(program, {
    args: [...args],
    env: {
      ASAN_OPTIONS: "exitcode=99:detect_leaks=0",
      TSAN_OPTIONS: "exitcode=99:halt_on_error=1",
      ...env,
    },
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, text: decode(stderr) + decode(stdout) };
}
