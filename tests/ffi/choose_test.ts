import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { existsSync } from "node:fs";
import { backendOf, hasDriver, isDeviceChoice, openDevice } from "../../ffi/mod.ts";
import { UserError } from "../../src/base/errors.ts";
import { TempDir } from "../e2e/small.ts";

const reason = "no CUDA device: no NVIDIA driver is installed";

Deno.test({
  name: "device choice: without a driver auto takes the CPU and says why, cuda is refused",
  ignore: hasDriver(),
  fn: async () => {
    const notes: string[] = [];
    const onNote = (text: string) => notes.push(text);
    {
      using device = await openDevice("auto", { onNote });
      assertEquals([device.info.backend, device.precision], ["cpu", "f32"]);
    }
    assertEquals(notes, [
      "no NVIDIA driver found in /dev/nvidiactl, /dev/dxg; computing on the CPU",
    ]);
    const error = await assertRejects(() => openDevice("cuda", { onNote }), UserError, reason);
    assertEquals(error.hint, "install NVIDIA's driver, or compute on the CPU: --device cpu");
    using device = await openDevice("cpu", { onNote });
    assertEquals([device.info.backend, notes.length], ["cpu", 1]);
  },
});

Deno.test("device choice: the emulator computes in bfloat16, as a GPU does", async () => {
  using device = await openDevice("emu");
  assertEquals([device.info.backend, device.precision], ["emu", "bf16"]);
});

/** Runs a program with the given permissions that imports `choose.ts` as `choose`. */
async function run(
  code: string,
  permissions: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  await using dir = await TempDir.make();
  const script = `${dir.path}/main.ts`;
  const url = new URL("../../ffi/choose.ts", import.meta.url).href;
  await Deno.writeTextFile(script, `import * as choose from ${JSON.stringify(url)};\n${code}`);
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-prompt", "--no-check", ...permissions, script],
    env: { NO_COLOR: "1", LD_LIBRARY_PATH: "", THINKER_LIB: "", ...env },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return (text(stdout) + text(stderr)).trim();
}

/** A folder with a library that has the driver's name. */
async function withDriver(body: (folder: string) => Promise<void>): Promise<void> {
  await using dir = await TempDir.make();
  const args = ["-shared", "-x", "c", "/dev/null", "-o", `${dir.path}/libcuda.so.1`];
  assert((await new Deno.Command("g++", { args }).output()).success);
  await body(dir.path);
}

const look = "console.log(choose.hasDriver());";
const places = ["/usr/local/nvidia/lib64", "/usr/lib/wsl/lib", "/usr/lib/x86_64-linux-gnu"];
const cache = await Deno.readFile("/etc/ld.so.cache").catch(() => new Uint8Array());
const installed = new TextDecoder("latin1").decode(cache).includes("libcuda.so.1") ||
  [...places, "/usr/lib64"].some((folder) => existsSync(`${folder}/libcuda.so.1`));

Deno.test("device choice: a program that may only read files finds the driver by its library", async () => {
  assertEquals(await run(look, ["--allow-read"]), String(installed));
  // Nothing but the modules of the program itself.
  const own = `--allow-read=${new URL("../..", import.meta.url).pathname}`;
  assertEquals(await run(look, [own]), "false");
});

Deno.test("device choice: auto looks along LD_LIBRARY_PATH, where it may read that", () =>
  withDriver(async (folder) => {
    const env = { LD_LIBRARY_PATH: `/no/such/folder::${folder}` };
    const permissions = ["--allow-read", "--allow-env=LD_LIBRARY_PATH"];
    assertEquals(await run(look, permissions, env), "true");
    assertEquals(await run(look, ["--allow-read"], env), String(installed));
  }));

Deno.test({
  name: "device choice: auto says where it looked",
  ignore: installed,
  fn: async () => {
    const code = `choose.openDevice("auto", { onNote: console.log }).catch(() => {});`;
    assertEquals(
      await run(code, ["--allow-read", "--allow-env=LD_LIBRARY_PATH"], {
        LD_LIBRARY_PATH: "/mine",
      }),
      `no NVIDIA driver found in /etc/ld.so.cache, ${places.join(", ")}, /usr/lib64, /mine; ` +
        "computing on the CPU",
    );
  },
});

Deno.test({
  name: "device choice: cuda compiles its kernels only where the loader finds a driver",
  ignore: installed || hasDriver(),
  fn: () =>
    withDriver(async (folder) => {
      const nvcc = `#!/bin/sh\necho called >> ${folder}/calls\necho "error: broken" >&2\nexit 1\n`;
      await Deno.writeTextFile(`${folder}/nvcc`, nvcc, { mode: 0o755 });
      const code = `choose.openDevice("cuda").catch((error) => console.log(error.message));`;
      const env = { PATH: `${folder}:${Deno.env.get("PATH")}` };
      assertEquals(await run(code, ["-A"], env), reason);
      assert(!existsSync(`${folder}/calls`));
      const found = await run(code, ["-A"], { ...env, LD_LIBRARY_PATH: folder });
      assertMatch(found, /^no CUDA compiler found/);
      assert(existsSync(`${folder}/calls`));
    }),
});

Deno.test("device choice: a GPU is named by its number", () => {
  const texts = ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "emu"] as const;
  assertEquals(texts.map(backendOf), [undefined, "cpu", "cuda", "cuda", "cuda", "emu"]);
  for (const text of texts) assert(isDeviceChoice(text), text);
  for (const text of ["", "cuda:", "cuda:-1", "cuda:x", "cpu:1", "gpu", 1]) {
    assert(!isDeviceChoice(text), `${text}`);
  }
});
