/** The CUDA library builds, loads on a machine without a driver, and says so. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { libraryPath } from "../../ffi/mod.ts";
import { ABI_VERSION } from "../../ffi/generated/symbols.ts";

function hasNvcc(): boolean {
  try {
    return new Deno.Command("nvcc", { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
}

// Compiling for three targets takes minutes: .ci/run asks for it.
const ignore = !Deno.env.has("THINKER_TEST_NVCC") || !hasNvcc();
if (ignore) {
  console.log("skipped: the CUDA build, which needs nvcc on PATH and THINKER_TEST_NVCC=1");
}

Deno.test({ name: "cuda: the library builds and loads without a driver", ignore }, async () => {
  const library = Deno.dlopen(await libraryPath("cuda"), {
    tk_abi_version: { parameters: [], result: "i32" },
    tk_last_error: { parameters: ["buffer", "i32"], result: "i32" },
    tk_device_open: { parameters: ["i32", "i32", "buffer"], result: "i32" },
    tk_device_close: { parameters: ["u64"], result: "i32" },
    tk_adamw: {
      parameters: [...Array(6).fill("u64"), "u64", ...Array(6).fill("f32"), "i32"],
      result: "i32",
    },
  });
  try {
    assertEquals(library.symbols.tk_abi_version(), ABI_VERSION);
    const device = new BigUint64Array(1);
    if (library.symbols.tk_device_open(0, 0, device) === 0) {
      assertEquals(library.symbols.tk_device_close(device[0]), 0);
      return;
    }
    const buffer = new Uint8Array(512);
    library.symbols.tk_last_error(buffer, buffer.length);
    const message = new TextDecoder().decode(buffer.subarray(0, buffer.indexOf(0)));
    assertMatch(message, /^no CUDA device: /);
    assert(!message.includes("\n"));
  } finally {
    library.close();
  }
});
