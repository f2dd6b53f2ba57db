/** `deno bench` prints rates and shares: on the emulator, at micro sizes. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { backends } from "../native.ts";

async function bench(device: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bench", "-P", ...args, "bench/losses_bench.ts"],
    env: { THINKER_BENCH_DEVICE: device, NO_COLOR: "1", LD_LIBRARY_PATH: "/nowhere" },
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

Deno.test({
  name: "deno bench: rates and shares follow Deno's table, and leave its JSON alone",
  ignore: !backends.includes("emu"),
  fn: async () => {
    const table = await bench("emu", "--filter=value");
    assertEquals(table.code, 0, table.stderr);
    assertMatch(table.stdout, /\| value loss 8192 tokens +\|/);
    assertStringIncludes(table.stderr, "\nCUDA emulator, sm_80, bf16\nop ");
    assertMatch(
      table.stderr,
      /\nvalue loss +8192 tokens +[\d.,]+ +[\d.]+ GB\/s +1\.00 GB\/s +\d+ % +[\d,]+\n/,
    );
    assert(!table.stderr.includes("gae"), "cases that were filtered out have no line");
    const json = await bench("emu", "--json", "--filter=value");
    assertEquals(json.code, 0, json.stderr);
    const names = JSON.parse(json.stdout).benches.map(({ name }: { name: string }) => name);
    assertEquals(names, ["value loss 8192 tokens"]);
  },
});

Deno.test("deno bench: a device that is none ends it with one line", async () => {
  const { code, stderr } = await bench("abacus");
  assertEquals(code, 1);
  assertStringIncludes(
    stderr,
    "error: THINKER_BENCH_DEVICE: no device abacus\nhint: cpu, cuda or emu\n",
  );
  assert(!stderr.includes("    at "), stderr);
});
