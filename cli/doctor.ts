/**
 * `thinker doctor`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import { Device, kernelCache, NativeError, openDevice, runProgram } from "../ffi/mod.ts";
import { UserError } from "../src/base/mod.ts";
import { print, tell } from "./output.ts";

/** One thing that was looked at. */
interface Finding {
  readonly name: string;
  readonly state: "ok" | "missing" | "failed";
  readonly detail: string;
  /** What to do if it is not ok. */
  readonly hint?: string;
}

/** The command. */
export function doctorCommand() {
  return new Command()
    .description("Check what this machine has: compilers, kernels, devices, memory.")
    .option("--json", "Print the findings as JSON.")
    .example("everything at a glance", "thinker doctor")
    .action(async (options: Record<string, unknown>) => {
      const findings = await examine();
      if (options.json) {
        print(JSON.stringify(findings, null, 2));
      } else {
        for (const { name, state, detail, hint } of findings) {
          const mark = { ok: "ok     ", missing: "missing", failed: "FAILED " }[state];
          print(`${mark}  ${name.padEnd(14)} ${detail}`);
          if (hint) print(`${" ".repeat(24)} ${hint}`);
        }
      }
      const failed = findings.filter(({ state }) => state === "failed").map(({ name }) => name);
      if (failed.length > 0) {
        throw new UserError(`this machine has no working ${failed.join(", ")}`);
      }
    });
}

async function examine(): Promise<Finding[]> {
  const { deno, v8 } = Deno.version;
  return [
    { name: "deno", state: "ok", detail: `${deno} (V8 ${v8})` },
    await compiler("g++", "needed for the CPU kernels: apt install g++, or dnf install gcc-c++"),
    await compiler("clang++", "an alternative to g++; not needed beside it"),
    await compiler("nvcc", "needed only to build the CUDA kernels: install the CUDA toolkit"),
    await cache(),
    await cpu(),
    await gpu(),
  ];
}

async function compiler(name: string, hint: string): Promise<Finding> {
  const version = await runProgram(name, ["--version"]);
  if (!version) return { name, state: "missing", detail: "not on PATH", hint };
  const lines = version.stdout.trim().split("\n");
  const detail = lines.find((line) => /release|version|\d+\.\d+/.test(line)) ?? lines[0];
  return { name, state: "ok", detail };
}

/** Where libraries are kept; whether that can be used shows where one is opened. */
function cache(): Promise<Finding> {
  const name = "kernel cache";
  return opened(name, () => Promise.resolve({ name, state: "ok", detail: kernelCache() }));
}

/** What a device has to say, or why there is none. */
async function opened(name: string, look: () => Promise<Finding>): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof UserError || error instanceof NativeError)) throw error;
    return { name, state: "failed", detail: error.message, hint: error.hint };
  }
}

const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

function cpu(): Promise<Finding> {
  const name = "cpu backend";
  return opened(name, async () => {
    using device = await Device.open("cpu", { onBuild: tell });
    const { isa, threads, memoryBytes } = device.info;
    const detail = `${isa}, ${threads} threads, ${gibibytes(memoryBytes)} of memory`;
    return { name, state: "ok", detail };
  });
}

/** The GPU that `--device auto` takes, or why it takes none. */
function gpu(): Promise<Finding> {
  const name = "gpu";
  return opened(name, async () => {
    let note = "";
    using device = await openDevice("auto", { onBuild: tell, onNote: (text) => note = text });
    if (note) return { name, state: "missing", detail: note };
    const { name: model, isa, memoryBytes } = device.info;
    return { name, state: "ok", detail: `${model}, ${isa}, ${gibibytes(memoryBytes)} of memory` };
  });
}
