import { assertEquals, assertRejects } from "@std/assert";
import { hasDriver, openDevice } from "../../ffi/mod.ts";
import { UserError } from "../../src/errors.ts";

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
    assertEquals(notes, [`${reason}; computing on the CPU`]);
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

Deno.test("device choice: a program that may only read files finds the driver by its library", async () => {
  const cache = await Deno.readFile("/etc/ld.so.cache").catch(() => new Uint8Array());
  const installed = new TextDecoder("latin1").decode(cache).includes("libcuda.so.1");
  const url = new URL("../../ffi/choose.ts", import.meta.url).href;
  const run = async (permissions: string[]) => {
    const code = `import { hasDriver } from ${JSON.stringify(url)}; console.log(hasDriver());`;
    const script = await Deno.makeTempFile({ suffix: ".ts" });
    try {
      await Deno.writeTextFile(script, code);
      const args = ["run", "-q", "--no-prompt", "--no-check", ...permissions, script];
      const { stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" })
        .output();
      return new TextDecoder().decode(stdout).trim();
    } finally {
      await Deno.remove(script);
    }
  };
  assertEquals(await run(["--allow-read"]), String(installed));
  // Nothing but the modules of the program itself.
  assertEquals(await run([`--allow-read=${new URL("../..", import.meta.url).pathname}`]), "false");
});
