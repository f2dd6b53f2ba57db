import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { UserError } from "../../src/base/errors.ts";
import { type Dtype, dtypeBytes } from "../../src/model/dtype.ts";
import {
  openSafetensors,
  type TensorSource,
  type TensorToWrite,
  writeSafetensors,
} from "../../src/model/safetensors.ts";

/** A tensor whose bytes count up from `seed`, handed out in pieces of `piece` bytes. */
function tensor(
  name: string,
  dtype: Dtype,
  shape: number[],
  seed = 0,
  piece = 1000,
): TensorToWrite & { readonly data: Uint8Array } {
  const length = shape.reduce((a, b) => a * b, dtypeBytes[dtype]);
  const bytes = Uint8Array.from({ length }, (_, i) => seed + i);
  return {
    name,
    dtype,
    shape,
    data: bytes,
    *chunks() {
      for (let i = 0; i < length; i += piece) yield bytes.subarray(i, i + piece);
    },
  };
}

/** All bytes of a tensor, checking that the pieces come in order. */
function readAll(source: TensorSource, name: string): Uint8Array {
  const out = new Uint8Array(source.info(name).bytes);
  let end = 0;
  source.read(name, (bytes, offset) => {
    assertEquals(offset, end);
    assertEquals(bytes.byteOffset % 8, 0);
    out.set(bytes, offset);
    end = offset + bytes.length;
  });
  assertEquals(end, out.length);
  return out;
}

/** Run with a fresh folder that is removed afterwards. */
async function inFolder(body: (dir: string) => Promise<void> | void): Promise<void> {
  const dir = Deno.makeTempDirSync();
  try {
    await body(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

/** A file of a header (text, or an object to serialise) and `data` zero bytes. */
function fileOf(header: unknown, data: number, length?: bigint): Uint8Array {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

Deno.test("what is written is read back, also past one staging buffer", async () => {
  await inFolder(async (dir) => {
    const tensors = [
      tensor("half", "BF16", [3, 5], 1),
      tensor("big", "F32", [3, 700_001], 2, 999_999),
      tensor("scalar", "I64", [], 3),
      tensor("empty", "F16", [0, 4], 4),
      tensor("bytes", "U8", [7], 5),
      tensor('größe/\u0000"', "F16", [2, 1, 2], 6),
    ];
    const path = `${dir}/model.safetensors`;
    await writeSafetensors(path, tensors, { step: "12" });
    assertEquals([...Deno.readDirSync(dir)].map((entry) => entry.name), ["model.safetensors"]);

    using file = openSafetensors(path);
    assertEquals(file.metadata, { format: "pt", step: "12" });
    assertEquals(file.names().toSorted(), tensors.map((t) => t.name).toSorted());
    for (const { name, dtype, shape, data } of tensors) {
      assertEquals(file.info(name).dtype, dtype);
      assertEquals(file.info(name).shape, shape);
      assertEquals(readAll(file, name).every((byte, i) => byte === data[i]), true);
      assertEquals(file.info(name).bytes, data.length);
    }
    assertThrows(() => file.info("absent"), UserError, "has no tensor absent");
    assertThrows(() => file.read("absent", () => {}), UserError, "has no tensor absent");
  });
});

Deno.test("chunks may arrive asynchronously", async () => {
  await inFolder(async (dir) => {
    const whole = tensor("late", "F32", [5], 1, 3);
    const late: TensorToWrite = {
      ...whole,
      async *chunks() {
        for (const chunk of whole.chunks() as Iterable<Uint8Array>) {
          yield await Promise.resolve(chunk);
        }
      },
    };
    await writeSafetensors(`${dir}/m`, [late, tensor("prompt", "U8", [3], 9)]);
    using file = openSafetensors(`${dir}/m`);
    assertEquals(readAll(file, "late"), whole.data);
    assertEquals(readAll(file, "prompt"), Uint8Array.of(9, 10, 11));
  });
});

Deno.test("the header is padded so that the data begins on a multiple of 8", async () => {
  await inFolder(async (dir) => {
    for (let n = 1; n <= 9; n++) {
      const path = `${dir}/${n}`;
      await writeSafetensors(path, [tensor("n".repeat(n), "F32", [1])]);
      const header = new DataView(Deno.readFileSync(path).buffer).getBigUint64(0, true);
      assertEquals(header % 8n, 0n);
    }
  });
});

Deno.test("wider elements come first, so every tensor is aligned", async () => {
  await inFolder(async (dir) => {
    const path = `${dir}/m`;
    await writeSafetensors(path, [
      tensor("u8", "U8", [3]),
      tensor("bf16", "BF16", [3]),
      tensor("f32", "F32", [3]),
    ]);
    using file = openSafetensors(path);
    assertEquals(file.names(), ["f32", "bf16", "u8"]);
  });
});

Deno.test("a failed write leaves the earlier file and no rubbish", async () => {
  await inFolder(async (dir) => {
    const path = `${dir}/m`;
    await writeSafetensors(path, [tensor("a", "F32", [2])]);
    const before = Deno.readFileSync(path);
    const lying = { ...tensor("a", "F32", [2]), shape: [3] };
    await assertRejects(() => writeSafetensors(path, [lying]), RangeError, "8 bytes instead of 12");
    const twice = [tensor("a", "F32", [2]), tensor("a", "F32", [2])];
    await assertRejects(() => writeSafetensors(path, twice), RangeError, "taken");
    const failing: TensorToWrite = {
      ...tensor("a", "F32", [2]),
      async *chunks() {
        yield await Promise.resolve(new Uint8Array(4));
        throw new Error("the device is gone");
      },
    };
    await assertRejects(() => writeSafetensors(path, [failing]), Error, "the device is gone");
    assertEquals(Deno.readFileSync(path), before);
    assertEquals([...Deno.readDirSync(dir)].length, 1);
    const nowhere = `${dir}/no/such/folder`;
    await assertRejects(() => writeSafetensors(nowhere, []), UserError, `cannot write ${nowhere}`);
  });
});

Deno.test("every malformed file is one clear line", async () => {
  const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
    dtype: "F32",
    shape,
    data_offsets: [begin, end],
  });
  const good = { a: f32(0, 8), b: f32(8, 12) };
  const cases: [string, Uint8Array, string][] = [
    ["empty file", new Uint8Array(), "too short"],
    ["half a length", new Uint8Array(5), "too short"],
    ["huge length", fileOf(good, 12, 2n ** 63n), "exceeds"],
    ["truncated header", fileOf(good, 12).subarray(0, 30), "does not fit"],
    ["length past the end", fileOf(good, 12, 5000n), "does not fit"],
    ["truncated data", fileOf(good, 11), "tensor b lies at 8..12"],
    ["trailing data", fileOf(good, 16), "last 4 bytes"],
    ["bad JSON", fileOf("{nope", 0), "not valid JSON"],
    ["bad UTF-8", new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 255]), "not valid JSON"],
    ["an array", fileOf("[]", 0), "not a JSON object"],
    ["null", fileOf("null", 0), "not a JSON object"],
    ["unknown dtype", fileOf({ a: { ...f32(0, 4), dtype: "F31" } }, 4), "tensor a: dtype"],
    ["no shape", fileOf({ a: { dtype: "F32", data_offsets: [0, 4] } }, 4), "tensor a: shape"],
    ["negative size", fileOf({ a: f32(0, 4, [-1, -1]) }, 4), "tensor a: shape.0"],
    ["half a size", fileOf({ a: f32(0, 4, [0.5, 2]) }, 4), "tensor a: shape.0"],
    ["enormous shape", fileOf({ a: f32(0, 4, Array(9).fill(2 ** 50)) }, 4), "tensor a is F32"],
    ["shape against span", fileOf({ a: f32(0, 8, [3]) }, 8), "tensor a is F32 [3] but has 8"],
    ["backwards", fileOf({ a: f32(4, 0, [1]) }, 4), "tensor a lies at 4..0"],
    ["overlap", fileOf({ a: f32(0, 8), b: f32(4, 12) }, 12), "tensor b overlaps"],
    ["gap", fileOf({ a: f32(0, 4), b: f32(8, 12) }, 12), "4 bytes before tensor b"],
    ["late start", fileOf({ a: f32(4, 8) }, 8), "4 bytes before tensor a"],
    ["metadata", fileOf({ __metadata__: { format: 3 } }, 0), "__metadata__: format"],
  ];
  await inFolder((dir) => {
    const path = `${dir}/m.safetensors`;
    for (const [what, bytes, message] of cases) {
      Deno.writeFileSync(path, bytes);
      const error = assertThrows(() => openSafetensors(path), UserError, undefined, what);
      assertStringIncludes(error.message, message, what);
      assertStringIncludes(error.message, path, what);
      assertEquals(error.message.includes("\n"), false, what);
    }
    Deno.writeFileSync(path, fileOf({ a: f32(0, 4), nothing: f32(0, 0) }, 4));
    openSafetensors(path)[Symbol.dispose]();
    Deno.writeFileSync(path, fileOf(good, 12));
    using file = openSafetensors(path);
    assertEquals(file.names(), ["a", "b"]);
    Deno.truncateSync(path, Deno.statSync(path).size - 2);
    assertThrows(() => file.read("b", () => {}), UserError, "tensor b ends too early");
    assertThrows(() => openSafetensors(`${dir}/none`), UserError, "cannot open");
    assertThrows(() => openSafetensors(dir), UserError);
  });
});

Deno.test("fuzz: a parser given anything returns tensors inside the file or a UserError", async () => {
  const offset = fc.oneof(fc.integer({ min: -8, max: 64 }), fc.double(), fc.maxSafeInteger());
  const entry = fc.record({
    dtype: fc.constantFrom("F32", "BF16", "U8", "I64", "F31", 7),
    shape: fc.array(fc.oneof(fc.integer({ min: -1, max: 5 }), fc.maxSafeInteger()), {
      maxLength: 3,
    }),
    data_offsets: fc.array(offset, { minLength: 1, maxLength: 3 }),
  }, { requiredKeys: [] });
  const header = fc.oneof(
    fc.dictionary(fc.string(), fc.oneof(entry, fc.jsonValue()), { maxKeys: 4 }),
    fc.jsonValue(),
  ).map((value) => JSON.stringify(value));
  const structured = fc.tuple(header, fc.nat(64)).map(([text, data]) => fileOf(text, data));
  const mutated = fc.tuple(structured, fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => {
    bytes[at % bytes.length] = byte;
    return bytes;
  });
  await inFolder((dir) => {
    const path = `${dir}/m`;
    const anything = fc.oneof(structured, mutated, fc.uint8Array({ maxLength: 200 }));
    fc.assert(
      fc.property(anything, (bytes) => {
        Deno.writeFileSync(path, bytes);
        try {
          using file = openSafetensors(path);
          for (const name of file.names()) readAll(file, name);
        } catch (error) {
          if (!(error instanceof UserError) || error.message.includes("\n")) throw error;
        }
      }),
      { numRuns: 1000 },
    );
  });
});

Deno.test("fuzz: any set of tensors makes the round trip", async () => {
  const one = fc.record({
    name: fc.string({ minLength: 1 }).filter((name) => name !== "__metadata__"),
    dtype: fc.constantFrom(...Object.keys(dtypeBytes) as Dtype[]),
    shape: fc.array(fc.nat(4), { maxLength: 3 }),
    seed: fc.nat(255),
    piece: fc.integer({ min: 1, max: 40 }),
  });
  await inFolder(async (dir) => {
    const path = `${dir}/m`;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(one, { selector: (t) => t.name, maxLength: 6 }),
        async (specs) => {
          const made = specs.map((t) => tensor(t.name, t.dtype, t.shape, t.seed, t.piece));
          await writeSafetensors(path, made);
          using file = openSafetensors(path);
          assertEquals(file.names().length, made.length);
          for (const { name, dtype, shape, data } of made) {
            const { dtype: gotDtype, shape: gotShape } = file.info(name);
            assertEquals([gotDtype, gotShape], [dtype, shape]);
            assertEquals(readAll(file, name), data);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
