import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { JsonlWriter, readJsonl, rowsOf, truncateAfter } from "../../src/base/mod.ts";
import { UserError } from "../../src/base/errors.ts";

async function inTempDir(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("JsonlWriter appends one line per object, also after reopening", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "log.jsonl");
    {
      using writer = new JsonlWriter(path);
      writer.write({ step: 0, text: "a\nb ü" });
    }
    {
      using writer = new JsonlWriter(path);
      writer.write({ step: 1, value: NaN });
    }
    assertEquals(
      await Deno.readTextFile(path),
      '{"step":0,"text":"a\\nb ü"}\n{"step":1,"value":null}\n',
    );
    assertEquals(await readJsonl(path), [{ step: 0, text: "a\nb ü" }, { step: 1, value: null }]);
  }));

Deno.test("JsonlWriter puts a line down in one write", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "log.jsonl");
    const original = Deno.FsFile.prototype.writeSync;
    const sizes: number[] = [];
    Deno.FsFile.prototype.writeSync = function (bytes: Uint8Array) {
      sizes.push(bytes.length);
      return original.call(this, bytes);
    };
    try {
      using writer = new JsonlWriter(path);
      writer.write({ text: "x".repeat(100_000) });
    } finally {
      Deno.FsFile.prototype.writeSync = original;
    }
    assertEquals(sizes, [(await Deno.stat(path)).size]);
  }));

Deno.test("readJsonl drops a last line cut at any byte, inside a character too", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "log.jsonl");
    const whole = new TextEncoder().encode('{"step":1}\n{"step":2,"s":"ü"}\n');
    for (let length = 0; length <= whole.length; length++) {
      await Deno.writeFile(path, whole.subarray(0, length));
      const expected = length < 11 ? 0 : length < whole.length ? 1 : 2;
      assertEquals((await readJsonl(path)).length, expected, `cut at byte ${length}`);
    }
  }));

Deno.test("rowsOf reads lines longer than its buffer, cut anywhere, and stops when it is asked to", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "log.jsonl");
    const rows = [1, 70_000, 65_535, 3, 200_000, 65_536].map((length) => ({
      s: "ü".repeat(length),
    }));
    {
      using writer = new JsonlWriter(path);
      for (const row of rows) writer.write(row);
    }
    const before = await Deno.readFile(path);
    const torn = before.subarray(before.indexOf(10) + 1).subarray(0, 100_000);
    await Deno.writeFile(path, torn, { append: true });
    const lengths = (await readJsonl<{ s: string }>(path)).map(({ s }) =>
      s.match(/^ü+$/)?.[0].length
    );
    assertEquals(lengths, rows.map(({ s }) => s.length));
    for await (const row of rowsOf(path)) {
      assertEquals(row, rows[0]);
      break;
    }
    assertEquals(await truncateAfter(path, () => true), rows.length);
    assertEquals((await Deno.stat(path)).size, before.length);
  }));

Deno.test("readJsonl names file and line of a broken line", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "log.jsonl");
    await Deno.writeTextFile(path, '{"step":1}\n{"st\n{"step":3}\n');
    const error = await assertRejects(() => readJsonl(path), UserError);
    assertStringIncludes(error.message, `${path}:2`);
  }));

Deno.test("truncateAfter keeps lines byte for byte and drops the rest", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "log.jsonl");
    // Spacing and number format that JSON.stringify would not reproduce.
    const kept = '{ "step": 0 }\n{"step":1.0}\n{"step":2,"v":1e-3}\n';
    await Deno.writeTextFile(path, kept + '{"step":3}\n{"step":4}\n{"ste');
    const upTo = (last: number) => (row: { step: number }) => row.step <= last;
    assertEquals(await truncateAfter(path, upTo(2)), 3);
    assertEquals(await Deno.readTextFile(path), kept);
    assertEquals(await truncateAfter(path, upTo(-1)), 0);
    assertEquals(await Deno.readTextFile(path), "");
    assertEquals([...Deno.readDirSync(dir)].map((entry) => entry.name), ["log.jsonl"]);
  }));

Deno.test("truncateAfter drops a cut last line even when it keeps every row", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "log.jsonl");
    await Deno.writeTextFile(path, '{"step":1}\n{"step":2}');
    assertEquals(await truncateAfter(path, () => true), 1);
    {
      using writer = new JsonlWriter(path);
      writer.write({ step: 2 });
    }
    assertEquals(await readJsonl(path), [{ step: 1 }, { step: 2 }]);
  }));

Deno.test("a missing file has no rows, and truncateAfter leaves it missing", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "none.jsonl");
    assertEquals(await readJsonl(path), []);
    assertEquals(await truncateAfter(path, () => true), 0);
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  }));
