import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { UserError } from "../../src/base/errors.ts";
import { openGguf } from "../../src/model/gguf.ts";
import { importGguf } from "../../src/model/mod.ts";
import { Rand } from "../native.ts";
import { inFolder, smallFile } from "./gguf_models.ts";
import { type Entry, ggufBytes, type Parts } from "./gguf_writer.ts";

Deno.test("every malformed file is one clear line, and costs no memory", () =>
  inFolder((dir) => {
    const path = `${dir}/m.gguf`;
    const f32 = (name: string, offset?: number, shape = [8]): Entry => ({
      name,
      type: 0,
      shape,
      data: new Uint8Array(32),
      offset,
    });
    const file = (changes: Partial<Parts> = {}) =>
      ggufBytes({ metadata: { a: { text: "b" } }, tensors: [f32("x"), f32("y")], ...changes });
    const huge = 2n ** 63n;
    const withLength = (length: bigint, at: number) => {
      const bytes = file();
      new DataView(bytes.buffer).setBigUint64(at, length, true);
      return bytes;
    };
    const cases: [string, Uint8Array, string][] = [
      ["empty", new Uint8Array(), "does not fit in the 0 bytes"],
      ["bad magic", file({ magic: "GGML" }), 'begins with "GGML"'],
      ["another text", new TextEncoder().encode("verse"), 'begins with "vers"'],
      ["version 1", file({ version: 1 }), "version 1"],
      ["big endian", file({ version: 3 << 24 }), "little endian"],
      [
        "huge tensor count",
        file({ tensorCount: huge }),
        "number of tensors is 9223372036854775808",
      ],
      ["large tensor count", file({ tensorCount: 2n ** 40n }), "list of 1099511627776 tensors"],
      ["huge pair count", file({ pairCount: huge }), "number of metadata entries is"],
      ["large pair count", file({ pairCount: 2n ** 33n }), "metadata of 8589934592 entries"],
      ["huge key", withLength(huge, 24), "length of a metadata key is"],
      ["long key", withLength(2n ** 31n, 24), "a metadata key does not fit"],
      ["huge value", withLength(2n ** 52n, 37), "metadata a does not fit"],
      ["large texts", file({ metadata: { a: { texts: [] } } }).map(at(41, 255)), "does not fit"],
      ["large numbers", file({ metadata: { a: { i32s: [] } } }).map(at(44, 255)), "does not fit"],
      ["unknown type", file().map(at(33, 99)), "metadata a has the unknown type 99"],
      ["nested", nested(), "nests arrays too deeply"],
      ["twice", file({ metadata: { a: { u32: 1 }, b: { u32: 1 } } }).map(at(49, 97)), "a stands"],
      ["not UTF-8", file().map(at(32, 255)), "not UTF-8"],
      ["line break", file({ tensors: [f32("x\ny")] }), 'not a name: "x\\ny"'],
      ["overlap", file({ tensors: [f32("x"), f32("y", 0)] }), "tensor y overlaps"],
      ["beyond the end", file({ tensors: [f32("x", 4096)] }), "tensor x reaches beyond"],
      ["huge offset", file({ tensors: [f32("x", 2 ** 53 - 32)] }), "tensor x"],
      ["not aligned", file({ tensors: [f32("x", 4)] }), "not aligned"],
      ["huge shape", file({ tensors: [f32("x", 0, [2 ** 50, 2 ** 50])] }), "x is too large"],
      ["dimensions", file({ tensors: [f32("x", 0, [1, 1, 1, 1, 8])] }), "5 dimensions"],
      ["same name", file({ tensors: [f32("x"), f32("x")] }), "same name"],
      ["alignment 0", file({ metadata: { "general.alignment": { u32: 0 } } }), "alignment is 0"],
      ["half a block", file({ tensors: [{ ...f32("x"), type: 8 }] }), "whole number of Q8_0"],
      ["truncated", file().subarray(0, 100), "does not fit"],
    ];
    const before = Deno.memoryUsage().external;
    for (const [what, bytes, message] of cases) {
      Deno.writeFileSync(path, bytes);
      const error = assertThrows(() => openGguf(path), UserError, undefined, what);
      assertStringIncludes(error.message, message, what);
      assertStringIncludes(error.message, path, what);
      assert(!error.message.includes("\n"), what);
    }
    const grown = Deno.memoryUsage().external - before;
    assert(grown < 64 * 2 ** 20, `${grown} bytes more`);
    Deno.writeFileSync(path, file());
    using good = openGguf(path);
    assertEquals([...good.tensors.keys()], ["x", "y"]);
    Deno.truncateSync(path, 100);
    const y = good.tensors.get("y")!;
    assertThrows(() => good.read(y, 0, new Uint8Array(32)), UserError, "y ends too early");
    assertThrows(() => openGguf(`${dir}/none`), UserError, "cannot open");
    assertThrows(() => openGguf(dir), UserError);
    return Promise.resolve();
  }));

/** Replaces one byte. */
function at(position: number, byte: number): (value: number, index: number) => number {
  return (value, index) => index === position ? byte : value;
}

/** Metadata of arrays in arrays in arrays … */
function nested(): Uint8Array {
  const bytes = ggufBytes({ metadata: { a: { texts: Array(60).fill("") } }, tensors: [] });
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 8; i++) {
    view.setUint32(37 + 12 * i, 9, true);
    view.setBigUint64(41 + 12 * i, 1n, true);
  }
  return bytes;
}

Deno.test("fuzz: an import given anything makes a folder or throws a UserError", () =>
  inFolder(async (dir) => {
    const path = `${dir}/m.gguf`, base = ggufBytes(smallFile(new Rand(1)));
    const header = 10_000; // most of the interest is in the first bytes
    const change = fc.record({
      at: fc.oneof(fc.nat(header), fc.nat(600), fc.nat(base.length - 9)),
      bytes: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        fc.constantFrom(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127), new Uint8Array(8)),
      ),
    });
    const changed = fc.array(change, { maxLength: 3 }).map((changes) => {
      const bytes = base.slice();
      for (const { at, bytes: b } of changes) bytes.set(b, at);
      return bytes;
    });
    const cut = fc.tuple(changed, fc.nat(base.length)).map(([bytes, end]) =>
      bytes.subarray(0, end)
    );
    const random = fc.uint8Array({ maxLength: 300 })
      .map((tail) => Uint8Array.of(...base.subarray(0, 8), ...tail));
    let made = 0, refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(changed, cut, random), async (bytes) => {
        Deno.writeFileSync(path, bytes);
        try {
          await importGguf(path, `${dir}/model`);
          Deno.removeSync(`${dir}/model`, { recursive: true });
          made++;
        } catch (error) {
          if (!(error instanceof UserError) || error.message.includes("\n")) throw error;
          refused++;
        }
      }),
      { numRuns: 400 },
    );
    assert(made > 10 && refused > 100, `${made} made, ${refused} refused`);
    assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name), ["m.gguf"]);
  }));
