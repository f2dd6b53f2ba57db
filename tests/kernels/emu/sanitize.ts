/**
 * `deno task sanitize`: every CUDA kernel once under ThreadSanitizer and AddressSanitizer, on the emulator.
 * A race or a wild access is reported with file and line and fails the task. Two builds of all kernels take
 * minutes of CPU, so this is no part of `deno task test`.
 *
 * @module
 */
import { sources } from "../../../ffi/sources.ts";
import { compile, link, type Mode, runProgram } from "./programs.ts";

const kernels = new URL("../../../kernels/cuda/", import.meta.url).pathname;
const units = sources.emu.filter(({ name }) => name.endsWith(".cu")).map(({ name }) =>
  `${kernels}${name}`
);
units.push(`${import.meta.dirname}/every_op.cpp`);

async function build(mode: Mode, dir: string): Promise<string> {
  const queue = units.entries(), objects: string[] = [];
  const worker = async () => {
    for (const [i, unit] of queue) {
      objects[i] = `${dir}/${i}-${mode}.o`;
      await compile(unit, objects[i], mode);
    }
  };
  await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, worker));
  await link(objects, `${dir}/${mode}`, mode);
  return `${dir}/${mode}`;
}

const dir = await Deno.makeTempDir();
let failed = 0;
try {
  for (const mode of ["thread", "address"] as const) {
    const { code, text } = await runProgram(await build(mode, dir), []);
    console.log(`${mode} sanitizer: ${code === 0 ? "nothing found" : text}`);
    failed += Number(code !== 0);
  }
} finally {
  await Deno.remove(dir, { recursive: true });
}
Deno.exit(failed ? 1 : 0);
