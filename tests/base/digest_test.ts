import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  changedFile,
  fileMark,
  markFolder,
  readSealed,
  sealJson,
  UserError,
} from "../../src/base/mod.ts";
import { TempDir } from "../e2e/small.ts";

Deno.test("sealJson: every single bit of the file counts", async () => {
  await using dir = await TempDir.make();
  const path = `${dir.path}/sealed.json`;
  const content = { step: 1, rate: 1e-7, "ü": [null] };
  await Deno.writeTextFile(path, sealJson(content));
  assertEquals(readSealed(path, "hint"), content);
  const bytes = await Deno.readFile(path);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    bytes[bit >> 3] ^= 1 << (bit & 7);
    Deno.writeFileSync(path, bytes);
    assertThrows(() => readSealed(path, "hint"), UserError, path, `bit ${bit}`);
    bytes[bit >> 3] ^= 1 << (bit & 7);
  }
  await Deno.writeTextFile(path, '{"step":10}');
  assertThrows(() => readSealed(path, "hint"), UserError, "not as it was written");
  assertThrows(() => readSealed(`${path}.none`, "hint"), UserError, "cannot read");
});

Deno.test("marks: what changes one file of a folder is found, what is new is not looked at", async () => {
  await using dir = await TempDir.make();
  const { path } = dir, large = new Uint8Array(3 * 2 ** 20).fill(7);
  await Deno.mkdir(`${path}/deep`);
  await Deno.writeFile(`${path}/large`, large);
  await Deno.writeTextFile(`${path}/deep/abc`, "abc");
  const marks = await markFolder(path);
  assertEquals(marks["deep/abc"], {
    bytes: 3,
    sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  });
  assertEquals(Object.keys(marks), ["deep/abc", "large"]);
  await Deno.writeTextFile(`${path}/other`, "");
  assertEquals(await changedFile(path, marks), undefined);
  large[2 ** 21 + 1] ^= 64;
  await Deno.writeFile(`${path}/large`, large);
  assertEquals(await changedFile(path, marks), "large");
  await Deno.remove(`${path}/deep`, { recursive: true });
  assertEquals(await changedFile(path, marks), "deep/abc");
});

Deno.test("marks: what can be read only once is refused, without waiting for it", async () => {
  await using dir = await TempDir.make();
  const pipe = `${dir.path}/pipe`;
  await new Deno.Command("mkfifo", { args: [pipe] }).output();
  await assertRejects(() => fileMark(pipe, "hint"), UserError, "no regular file");
  await assertRejects(() => fileMark(`${pipe}s`, "hint"), UserError, "cannot read");
});
