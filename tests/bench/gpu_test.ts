/** The GPU benchmarks work, as far as that shows without a GPU: on the emulator, at micro sizes. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { gpuCases } from "../../bench/gpu/cases.ts";
import { microShapes } from "../../bench/gpu/sizes.ts";
import { backends } from "../native.ts";

async function run(command: string, args: string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, env }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

for (
  const [part, ops] of Object.entries({ kernels: gpuCases(microShapes).length, decode: 1, step: 3 })
) {
  Deno.test({
    name: `gpu bench: ${part} runs on the emulator and keeps its results`,
    ignore: !backends.includes("emu"),
    fn: async () => {
      const dir = await Deno.makeTempDir();
      try {
        const out = `${dir}/results.json`;
        const args = ["run", "-A", "bench/gpu/main.ts", part, "--device", "emu", "--micro"];
        const { code, stdout, stderr } = await run(Deno.execPath(), [...args, "--out", out]);
        assertEquals(code, 0, stderr);
        assertStringIncludes(stdout, "CUDA emulator, sm_80\n");
        const { gpu, results } = JSON.parse(await Deno.readTextFile(out));
        assertEquals([gpu, results.length], ["CUDA emulator", ops]);
        assert(
          results.every(({ seconds, rate }: Record<string, number>) => seconds > 0 && rate > 0),
        );
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  });
}

Deno.test("gpu bench: a wrong part is named, a machine without a driver is told", async () => {
  const wrong = await run("bench/gpu.sh", ["teleport"]);
  assertEquals([wrong.code, wrong.stdout], [1, ""]);
  assertStringIncludes(wrong.stderr, "error: teleport is no part\nhint: build test sanitize");
  const dir = await Deno.makeTempDir();
  try {
    for (const tool of ["dirname", "bash", "env"]) {
      const { stdout } = await run("sh", ["-c", `command -v ${tool}`]);
      await Deno.symlink(stdout.trim(), `${dir}/${tool}`);
    }
    const bare = await run("bench/gpu.sh", ["build"], { PATH: dir });
    assertEquals([bare.code, bare.stderr], [
      1,
      "error: no CUDA device: no NVIDIA driver is installed\n",
    ]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
