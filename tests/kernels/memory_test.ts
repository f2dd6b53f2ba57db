/** An allocation that fails inside an op must become an error, also where threads work in parallel. */
import { assertEquals } from "@std/assert";

function hasPrlimit(): boolean {
  try {
    return new Deno.Command("prlimit", { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "memory: an op whose scratch does not fit fails, and the process and its stream live on",
  ignore: Deno.build.os !== "linux" || !hasPrlimit(),
  async fn() {
    const child = new URL("./memory_child.ts", import.meta.url).pathname;
    const command = new Deno.Command(Deno.execPath(), { args: ["run", "-q", "-A", child] });
    const { stdout, stderr } = await command.output();
    const lines = new TextDecoder().decode(stdout).trim().split("\n");
    const expected = [
      "attention_forward: stream_sync: std::bad_alloc",
      "lm_head_sample: stream_sync: std::bad_alloc",
      "fill: no error",
    ];
    assertEquals(lines, expected, new TextDecoder().decode(stderr));
  },
});
