import { assertEquals } from "@std/assert";
import { Progress } from "../../cli/progress.ts";
import { visible } from "../../cli/output.ts";

Deno.test("text from outside reaches a terminal without control characters", () => {
  assertEquals(visible("plain\n\tZwölf 数 😀"), "plain\n\tZwölf 数 😀");
  assertEquals(
    visible("\x1b]0;title\x07 \x9b2J \r \x7f"),
    "\\u001b]0;title\\u0007 \\u009b2J \\u000d \\u007f",
  );
  const json = JSON.stringify(["\x1b[2J", "\x9b2J\x7f"]);
  assertEquals(JSON.parse(visible(json)), JSON.parse(json));
  const written: string[] = [];
  const write = (text: string) => void written.push(text);
  using progress = new Progress({ tty: false, write });
  progress.note("a row says \x1b[31mred");
  assertEquals(written, ["a row says \\u001b[31mred\n"]);
});

Deno.test("what is shown on the way is given up where it cannot be written; a result is not", () => {
  const code = `
    import { print, show } from "./cli/output.ts";
    show("on the way");
    try {
      print("the result");
    } catch (error) {
      Deno.exit(/^cannot write to standard output: No space left/.test(error.message) ? 7 : 8);
    }`;
  const { code: status } = new Deno.Command("sh", {
    args: ["-c", '"$0" eval "$1" >/dev/full 2>/dev/full', Deno.execPath(), code],
  }).outputSync();
  assertEquals(status, 7);
});
