import { assertEquals, assertThrows } from "@std/assert";
import {
  arenaBytes,
  arenaTensors,
  rowsOf,
  specBytes,
  TensorSet,
  type TensorSpecs,
} from "../../ffi/mod.ts";
import { OutOfMemory } from "../../src/base/mod.ts";
import { Lab } from "../native.ts";

const specs = {
  logits: ["bf16", 3, 5],
  ids: ["i32", 2, 2],
  none: ["f32", 0, 7],
  bytes: ["u8", 65],
} satisfies TensorSpecs;

Deno.test("tensor set: what specs say is what is allocated, to the byte, and freed", async () => {
  using lab = await Lab.open();
  {
    using set = new TensorSet(lab.device, specs);
    assertEquals(
      Object.entries(set.t).map(([name, tensor]) => `${name} ${tensor}`),
      ["logits bf16[3, 5]", "ids i32[2, 2]", "none f32[0, 7]", "bytes u8[65]"],
    );
    assertEquals(specBytes(specs), 30 + 16 + 0 + 65);
    assertEquals(lab.device.allocatedBytes, specBytes(specs));
  }
  assertEquals(lab.device.allocatedBytes, 0);
});

Deno.test("tensor set: the first rows of each are views of it", async () => {
  using lab = await Lab.open();
  using set = new TensorSet(lab.device, { a: ["i32", 4], b: ["f32", 3, 2], none: ["f32", 5, 0] });
  const { a, b, none } = rowsOf(set.t, 2);
  assertEquals([a, b, none].map(String), ["i32[2]", "f32[2, 2]", "f32[2, 0]"]);
  assertEquals([a.address, b.address], [set.t.a.address, set.t.b.address]);
  assertThrows(() => rowsOf(set.t, 4), RangeError, "does not fit into f32[3, 2]");
});

Deno.test("tensor set: where one does not fit, none stays", async () => {
  using lab = await Lab.open();
  const large = { ...specs, huge: ["f32", 2 ** 50] } satisfies TensorSpecs;
  assertThrows(() => new TensorSet(lab.device, large), OutOfMemory, "out of memory");
  assertEquals(lab.device.allocatedBytes, 0);
});

Deno.test("tensor set: from an arena, in the order of the specs", async () => {
  using lab = await Lab.open();
  assertEquals(arenaBytes(specs), 64 + 64 + 0 + 128);
  using arena = lab.device.arena(arenaBytes(specs));
  const { logits, ids, bytes } = arenaTensors(arena, specs);
  assertEquals(arena.used, arenaBytes(specs));
  assertEquals([logits, ids, bytes].map((t) => t.address - logits.address), [0n, 64n, 128n]);
  assertThrows(() => arenaTensors(arena, { more: ["u8", 1] }), RangeError, "is full");
});
