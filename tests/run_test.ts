import { assertEquals, assertMatch } from "@std/assert";

/** Runs the runner in a temporary project that holds `files` and returns its lines and exit code. */
async function runner(
  files: Record<string, string>,
  ...args: string[]
): Promise<{ code: number; lines: string[] }> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries(files)) {
      const file = `${root}/tests/${path}`;
      await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(file, text);
    }
    const script = new URL("./run.ts", import.meta.url).pathname;
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script, "--no-check", ...args],
      cwd: root,
      env: { NO_COLOR: "1", CI: "true" },
    }).output();
    return { code, lines: new TextDecoder().decode(stdout).trim().split("\n") };
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const PASS = `Deno.test("fine", () => {}); Deno.test.ignore("later", () => {});`;
const FAIL = `Deno.test("fine", () => {}); Deno.test("wrong", () => { throw new Error("no"); });`;
const CRASH = `Deno.test("fine", () => {});
// Deno reports from another thread: without the wait the crash may come before the file's name.
Deno.test("falls", async () => {
  await new Promise((done) => setTimeout(done, 500));
  Deno.UnsafePointerView.getCString(Deno.UnsafePointer.create(8n));
});`;

Deno.test("the runner adds up its processes and keeps exit code 0", async () => {
  const { code, lines } = await runner({ "a_test.ts": PASS, "ffi/deep/b_test.ts": PASS });
  assertEquals(lines.at(-1), "2 passed, 0 failed, 2 skipped");
  assertEquals(code, 0);
});

Deno.test("a failure anywhere fails the run; paths and options choose tests", async () => {
  const files = { "a/a_test.ts": PASS, "engine/b_test.ts": FAIL };
  const all = await runner(files);
  assertEquals([all.code, all.lines.at(-1)], [1, "2 passed, 1 failed, 1 skipped"]);
  const some = await runner(files, "tests/a");
  assertEquals([some.code, some.lines.at(-1)], [0, "1 passed, 0 failed, 1 skipped"]);
  const named = await runner(files, "--filter=fine");
  assertEquals([named.code, named.lines.at(-1)], [0, "2 passed, 0 failed"]);
  assertEquals((await runner({ "data.json": "{}" })).code, 1);
});

Deno.test("a whole run includes the examples in the documentation", async () => {
  const example = (code: string) =>
    `/**\n * \`\`\`ts\n * ${code}\n * \`\`\`\n */\nexport const a = 1;`;
  const files = {
    "a_test.ts": PASS,
    "../src/right.ts": example("if (a !== 1) throw new Error();"),
    "../ffi/wrong.ts": example("if (a === 1) throw new Error();"),
  };
  const all = await runner(files);
  assertEquals([all.code, all.lines.at(-1)], [1, "2 passed, 1 failed, 1 skipped"]);
  const some = await runner(files, "tests/a_test.ts");
  assertEquals([some.code, some.lines.at(-1)], [0, "1 passed, 0 failed, 1 skipped"]);
});

Deno.test("a crash counts as a failure, names its file and spares the other folders", async () => {
  const { code, lines } = await runner({
    "a_test.ts": PASS,
    "ffi/quiet_test.ts": PASS,
    "kernels/crash_test.ts": CRASH,
    "model/broken_test.ts": "throw new Error('cannot load');",
  });
  assertEquals(code, 1);
  const crash = lines.find((line) => line.includes("CRASH"))!;
  assertMatch(crash, /kernels ended with signal SIGSEGV in .*kernels\/crash_test\.ts, after: /);
  assertEquals(lines.at(-1), "3 passed, 2 failed, 2 skipped");
});
