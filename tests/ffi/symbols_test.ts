import { assert, assertEquals } from "@std/assert";
import { stat } from "../../ffi/mod.ts";
import { ABI_VERSION, symbols } from "../../ffi/symbols.ts";
import { dtypeCode } from "../../ffi/tensor.ts";

const source = await Deno.readTextFile(new URL("../../kernels/include/thinker.h", import.meta.url));
const header = source.replaceAll(/\/\/.*$/gm, "");

/** The FFI type of one C parameter, such as `uint64_t stream` or `const void* src`. */
function ffiType(parameter: string): string {
  if (parameter.includes("*")) return "buffer";
  const type = parameter.trim().split(/\s+/)[0];
  const known: Record<string, string> = {
    int32_t: "i32",
    uint32_t: "u32",
    uint64_t: "u64",
    float: "f32",
  };
  assert(type in known, `no FFI type for "${parameter}"`);
  return known[type];
}

/** Values of a C enum; entries without a value count on from the one before. */
function enumValues(name: string): Record<string, number> {
  const body = header.match(new RegExp(`enum ${name} \\{([^}]*)\\}`))?.[1];
  assert(body, `the header has no enum ${name}`);
  const values: Record<string, number> = {};
  let next = 0;
  for (const entry of body.split(",").map((e) => e.trim()).filter((e) => e !== "")) {
    const [key, value] = entry.split("=").map((s) => s.trim());
    if (value !== undefined) next = Number(value);
    values[key] = next++;
  }
  return values;
}

Deno.test("symbols: every prototype of the header, in order, and nothing else", () => {
  const prototypes = [...header.matchAll(/TK_API\s+(\w+)\s+(\w+)\s*\(([^)]*)\)\s*;/g)];
  assertEquals(prototypes.length, header.split("TK_API ").length - 2); // all but the macro's own line
  assertEquals(Object.keys(symbols), prototypes.map(([, , name]) => name));
  for (const [, result, name, parameters] of prototypes) {
    const symbol = symbols[name as keyof typeof symbols];
    const types = parameters.trim() === "void" ? [] : parameters.split(",").map(ffiType);
    assertEquals([...symbol.parameters], types, name);
    assertEquals(symbol.result, ffiType(result), name);
  }
});

Deno.test("symbols: only what waits for a stream is nonblocking", () => {
  const waiting = Object.entries(symbols).filter(([, s]) => "nonblocking" in s).map(([n]) => n);
  assertEquals(waiting, ["tk_stream_sync", "tk_download"]);
});

Deno.test("symbols: version, dtypes and statistics slots equal the header's", () => {
  assertEquals(Number(header.match(/#define TK_ABI_VERSION (\d+)/)?.[1]), ABI_VERSION);
  const codes = { TK_F32: dtypeCode("f32"), TK_BF16: dtypeCode("bf16"), TK_I32: dtypeCode("i32") };
  assertEquals(enumValues("tk_dtype"), codes);
  const camel = (s: string) => s.toLowerCase().replaceAll(/_(\w)/g, (_, c) => c.toUpperCase());
  const slots = Object.entries(enumValues("tk_stat")).map(([key, value]) => {
    return [camel(key.replace("TK_STAT_", "")), value];
  });
  assertEquals(Object.fromEntries(slots), { ...stat });
});
