/**
 * The kernels are written against sixteen lanes with explicit fused multiply-adds and one reduction
 * tree, so AVX-512, AVX2 and plain C++ must give the same bits, tail by tail.
 */
import { assert, assertEquals } from "@std/assert";

/** Result names and digests that a library built for `march` prints; `isa` is the first. */
async function digests(march: string): Promise<Map<string, string>> {
  const child = new URL("./isa_child.ts", import.meta.url).pathname;
  const env = { THINKER_MARCH: march, THINKER_LIB: "" };
  const command = new Deno.Command(Deno.execPath(), { args: ["run", "-q", "-A", child], env });
  const { success, stdout, stderr } = await command.output();
  assert(success, `${march}: ${new TextDecoder().decode(stderr)}`);
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  return new Map(lines.map((line) => line.split(" ") as [string, string]));
}

const isX86 = Deno.build.arch === "x86_64";
const native = isX86 ? await digests("native") : new Map<string, string>();
const isa = native.get("isa");

for (
  const [march, expected, runs] of [
    ["x86-64-v3", "avx2", isX86 && isa !== "portable"],
    ["x86-64", "portable", isX86],
  ] as const
) {
  Deno.test({
    name: `the ${expected} build gives the bits of the native build (${isa})`,
    ignore: !runs,
    async fn() {
      const actual = await digests(march);
      assertEquals(actual.get("isa"), expected);
      assert(native.size > 30, `only ${native.size} results to compare`);
      const different = [...native.keys()].filter((name) => actual.get(name) !== native.get(name));
      assertEquals(different.filter((name) => name !== "isa"), [], `differ from ${isa}`);
    },
  });
}
