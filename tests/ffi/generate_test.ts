import { assert, assertEquals, assertMatch, assertNotEquals, assertThrows } from "@std/assert";
import { abiVersion, enums, generate, prototypes } from "../../ffi/generate.ts";
import { symbols } from "../../ffi/generated/symbols.ts";

const root = new URL("../../", import.meta.url);
const header = await Deno.readTextFile(new URL("kernels/include/thinker.h", root));

Deno.test("generate: what follows from kernels/ is up to date", async () => {
  const stale: string[] = [];
  for (const [path, text] of Object.entries(await generate())) {
    if (await Deno.readTextFile(new URL(path, root)) !== text) stale.push(path);
  }
  assertEquals(stale, [], "these files are stale: run `deno task generate`");
});

Deno.test("generate: what waits for a stream is nonblocking, nothing else", () => {
  const waiting = Object.entries(symbols).filter(([, s]) => "nonblocking" in s).map(([n]) => n);
  assertEquals(waiting, ["tk_stream_sync", "tk_download", "tk_readback_end"]);
});

Deno.test("generate: every function has a caller in ffi/, but those of events, which wait for theirs", async () => {
  let text = "";
  for (const folder of ["ffi/", "ffi/ops/"]) {
    for (const { name, isFile } of Deno.readDirSync(new URL(folder, root))) {
      if (isFile) text += await Deno.readTextFile(new URL(folder + name, root));
    }
  }
  const called = new Set(text.match(/\btk_\w+/g));
  const unused = Object.keys(symbols).filter((name) => !called.has(name));
  assertEquals(unused.filter((name) => !/_event(_|$)/.test(name)), []);
});

Deno.test("generate: prototypes are read in order, with every type of the ABI", () => {
  const text = `enum tk_kind { TK_ONE = 1, TK_STAT_TWO_MORE = 2 };  // enum tk_none { TK_A = 0 };
TK_API int32_t tk_first(void);
TK_WAITS int32_t tk_second(uint64_t stream, const void* src, void* dst,  // TK_API int32_t tk_no(void);
                           int32_t n, uint32_t pattern, float scale);`;
  const parameters = ["u64", "buffer", "buffer", "i32", "u32", "f32"];
  assertEquals(prototypes(text), [
    { name: "tk_first", result: "i32", parameters: [], waits: false },
    { name: "tk_second", result: "i32", parameters, waits: true },
  ]);
  assertEquals(enums(text), { tkKind: { one: 1, twoMore: 2 } });
});

Deno.test("generate: what cannot be read is refused, not left out", () => {
  const refused = (text: string, message: string) =>
    assertThrows(() => prototypes(text), Error, message);
  refused("TK_API int32_t tk_a(double x);", 'no FFI type for "double x"');
  refused("TK_API int32_t tk_a(void);\nint32_t tk_b(void);", "cannot read tk_b");
  refused("TK_API int32_t tk_a (void);", "cannot read tk_a");
  assertThrows(() => enums("enum tk_kind { TK_ONE };"), Error, "TK_ONE has no value");
});

Deno.test("generate: the version follows the header's code, not its comments or line breaks", async () => {
  const version = await abiVersion(header);
  assertMatch(header, new RegExp(`#define TK_ABI_VERSION ${version}\n`));
  assert(version > 0 && version < 2 ** 31);
  const same = [
    header.replace("// ----", "// ++++"),
    header.replaceAll(", int32_t dtype", ",\n    int32_t dtype"),
    header.replace(`#define TK_ABI_VERSION ${version}`, "#define TK_ABI_VERSION 1"),
  ];
  const other = [
    header.replace("TK_BF16 = 1", "TK_BF16 = 3"),
    header.replace("int32_t T, int32_t C", "int32_t C, int32_t T"),
    header.replace("TK_API int32_t tk_upload", "TK_WAITS int32_t tk_upload"),
  ];
  for (const text of [...same, ...other]) assertNotEquals(text, header);
  assertEquals(await Promise.all(same.map(abiVersion)), same.map(() => version));
  for (const text of other) assertNotEquals(await abiVersion(text), version);
});
