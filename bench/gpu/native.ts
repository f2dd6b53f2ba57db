/**
 * The native side of a GPU run: `native.ts --device cuda|emu DIR` puts three files into DIR.
 *
 * `libthinker.so`, the kernels (for THINKER_LIB); `probe`, what the chip's instructions do; `every_op`, which
 * calls every op once, for compute-sanitizer to watch. Needs nvcc and g++ for cuda, g++ for emu.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import { libraryPath } from "../../ffi/mod.ts";
import { UserError } from "../../src/base/mod.ts";
import { reportFailure } from "../../cli/failure.ts";

const root = new URL("../../", import.meta.url).pathname;
const includes = (...dirs: string[]) => dirs.map((dir) => `-I${root}kernels/${dir}`);

/** Ampere, Hopper with its own instructions, and PTX that newer GPUs compile. */
const targets = ["sm_80", "sm_90a", "compute_80"].flatMap((code) => [
  "-gencode",
  `arch=${code.replace("sm", "compute")},code=${code}`,
]);

async function compile(compiler: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(compiler, { args, stdout: "null" }).output();
  if (success) return;
  const text = new TextDecoder().decode(stderr);
  throw new UserError(`${compiler}: ${text.split("\n").find((l) => /error/.test(l)) ?? text}`);
}

/** Builds the three files. */
export async function buildNative(device: "cuda" | "emu", dir: string): Promise<void> {
  await Deno.mkdir(dir, { recursive: true });
  const library = await libraryPath(device, { onBuild: (text) => console.error(text) });
  await Deno.copyFile(library, `${dir}/libthinker.so`);
  const probe = [`${root}bench/gpu/probe/probe.cu`, "-o", `${dir}/probe`, "-std=c++17", "-O2"];
  if (device === "cuda") {
    const cuda = [...targets, "-cudart", "static", ...includes("cuda", "include")];
    await compile("nvcc", [...cuda, ...probe]);
  } else {
    const march = `-march=${Deno.env.get("THINKER_MARCH") ?? "native"}`;
    const host = [march, "-ffp-contract=off", "-Wno-unknown-pragmas", "-pthread"];
    await compile("g++", [...host, ...includes("emu", "cuda", "include"), "-x", "c++", ...probe]);
  }
  // The library is found beside the program, wherever the two are carried.
  await compile("g++", [
    "-std=c++17",
    ...includes("include"),
    `${root}tests/kernels/emu/every_op.cpp`,
    "-o",
    `${dir}/every_op`,
    `-L${dir}`,
    "-l:libthinker.so",
    "-Wl,-rpath,$ORIGIN",
  ]);
}

if (import.meta.main) {
  await new Command()
    .name("native")
    .description("Build the native side of a GPU run.")
    .arguments("<dir:string>")
    .option("--device <name:string>", "cuda or emu.", { default: "cuda" })
    .action(async ({ device }: Record<string, unknown>, dir: string) => {
      try {
        await buildNative(device === "emu" ? "emu" : "cuda", dir);
      } catch (error) {
        Deno.exit(reportFailure(error));
      }
    })
    .parse(Deno.args);
}
