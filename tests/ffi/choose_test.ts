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
