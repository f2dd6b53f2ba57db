import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  type Device,
  Library,
  libraryPath,
  NativeError,
  rmsnormForward,
  writeWords,
} from "../../ffi/mod.ts";
import { ABI_VERSION, symbols } from "../../ffi/generated/symbols.ts";
import { OutOfMemory, UserError } from "../../src/base/mod.ts";
import { Lab, testBackends } from "../native.ts";

/** Compiles a library whose functions all return 0, except for `bodies`. */
async function compile(
  path: string,
  names: readonly string[],
  bodies: Record<string, string>,
): Promise<void> {
  const functions = names.map((name) => `int ${name}() { ${bodies[name] ?? "return 0;"} }`);
  await Deno.writeTextFile(`${path}.cpp`, `extern "C" {\n${functions.join("\n")}\n}\n`);
  const args = ["-shared", "-fPIC", `${path}.cpp`, "-o", path];
  assert((await new Deno.Command("g++", { args }).output()).success);
}

async function inFolder(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Asserts that the library is refused with one clear line that names it. */
function assertRefused(path: string, message: string): void {
  const error = assertThrows(() => new Library(path), UserError, message);
  assert(error.message.includes(path) && !error.message.includes("\n"), error.message);
  assertEquals(error.hint, "rebuild the library, or unset THINKER_LIB");
}

Deno.test("library: THINKER_LIB is taken as it is, wrong or right", async () => {
  const before = Deno.env.get("THINKER_LIB");
  const path = await libraryPath("cpu");
  try {
    Deno.env.set("THINKER_LIB", "/no/such/library.so");
    assertEquals(await libraryPath("cpu"), "/no/such/library.so");
    await assertRejects(() => Lab.open(), UserError, "cannot load /no/such/library.so: ");
    Deno.env.set("THINKER_LIB", path);
    using lab = await Lab.open();
    assertEquals(lab.device.library.path, path);
  } finally {
    if (before === undefined) Deno.env.delete("THINKER_LIB");
    else Deno.env.set("THINKER_LIB", before);
  }
});

Deno.test("library: what is no library, lacks a function or has another version is refused", () =>
  inFolder(async (dir) => {
    assertRefused(`${dir}/missing.so`, "cannot load");
    await Deno.writeTextFile(`${dir}/text.so`, "this is no library");
    assertRefused(`${dir}/text.so`, "cannot load");
    await Deno.writeTextFile(`${dir}/empty.so`, "");
    assertRefused(`${dir}/empty.so`, "cannot load");

    const names = Object.keys(symbols);
    const version = (n: number) => ({ tk_abi_version: `return ${n};` });
    await compile(`${dir}/newer.so`, names, version(ABI_VERSION + 1));
    const message = `speaks ABI version ${ABI_VERSION + 1}, this program version ${ABI_VERSION}`;
    assertRefused(`${dir}/newer.so`, message);
    await compile(`${dir}/partial.so`, names.slice(0, -1), version(ABI_VERSION));
    assertRefused(`${dir}/partial.so`, names.at(-1)!);
    await compile(`${dir}/good.so`, names, version(ABI_VERSION));
    const library = new Library(`${dir}/good.so`);
    library.close();
    library.close();
    assertThrows(() => library.symbols, Error, `the library ${dir}/good.so is closed`);
  }));

Deno.test("device: says what it is", async () => {
  using lab = await Lab.open({ threads: 3 });
  const { backend, threads, memoryBytes, kvTile, isa } = lab.device.info;
  assertEquals([backend, threads], ["cpu", 3]);
  assert(memoryBytes > 2 ** 28 && kvTile >= 1 && isa.length > 0);
  await assertRejects(() => Lab.open({ threads: -1 }), NativeError, "threads");
});

testBackends("device: use after dispose throws, disposing twice does not", async (backend) => {
  let device: Device;
  {
    using lab = await Lab.open({ backend });
    device = lab.device;
    const stream = device.stream();
    const memory = device.alloc("f32", [4]);
    const { tensor } = memory;
    const part = tensor.view(1, [2]);
    const graph = stream.record(() => stream.fill(tensor, 1));
    assertEquals(device.allocatedBytes, 16);

    graph[Symbol.dispose]();
    graph[Symbol.dispose]();
    assertThrows(() => stream.launch(graph), Error, "the graph is closed");

    memory[Symbol.dispose]();
    memory[Symbol.dispose]();
    assertEquals(device.allocatedBytes, 0);
    assertThrows(() => stream.fill(tensor, 1), Error, "f32[4] used after its memory was freed");
    assertThrows(() => stream.fill(part, 1), Error, "f32[2] used after its memory was freed");
    const host = new Float32Array(4);
    assertThrows(() => stream.upload(tensor, host), Error, "used after its memory was freed");
    await assertRejects(() => stream.download(tensor, host), Error, "after its memory was freed");

    stream[Symbol.dispose]();
    stream[Symbol.dispose]();
    assertThrows(() => stream.fill(lab.alloc("f32", [1]), 1), Error, "the stream is closed");
    await assertRejects(() => stream.sync(), Error, "the stream is closed");
    assertThrows(() => stream.record(() => {}), Error, "the stream is closed");
  }
  device[Symbol.dispose]();
  assertThrows(() => device.alloc("f32", [1]), Error, "the library");
  assertThrows(() => device.stream(), Error, "closed");
  assertThrows(() => device.handle, Error, "the device is closed");
});

testBackends(
  "memory: what cannot be allocated is an error, and nothing is counted",
  async (backend) => {
    using lab = await Lab.open({ backend });
    assertThrows(() => lab.device.alloc("f32", [2 ** 50]), OutOfMemory, "out of memory");
    assertEquals(lab.device.allocatedBytes, 0);
    using nothing = lab.device.alloc("f32", [0]);
    lab.stream.upload(nothing.tensor, new Float32Array(0));
    assertEquals((await lab.f32(nothing.tensor)).length, 0);
  },
);

testBackends(
  "memory: freed while ops that use it are under way, it outlives them",
  async (backend) => {
    using lab = await Lab.open({ backend });
    const size = 2 ** 20, kept = lab.out([20, size]);
    for (let i = 0; i < 20; i++) {
      using memory = lab.device.alloc("f32", [size]);
      lab.stream.fill(memory.tensor, i);
      lab.stream.copy(kept.view(i * size, [size]), memory.tensor);
    }
    const values = await lab.f32(kept);
    for (let i = 0; i < 20; i++) {
      assert(values.subarray(i * size, (i + 1) * size).every((value) => value === i), `copy ${i}`);
    }
  },
);

testBackends(
  "arena: aligned tensors, mark and release, peak, and a clear message when full",
  async (backend) => {
    using lab = await Lab.open({ backend });
    using arena = lab.device.arena(256);
    const first = arena.alloc("u8", [1]), mark = arena.mark();
    const second = arena.alloc("f32", [17]);
    assertEquals(second.address - first.address, 64n);
    assertEquals([arena.used, arena.peak], [192, 192]);
    const message = "arena of 256 bytes is full: 192 used, i32[4, 5] asked for";
    assertThrows(() => arena.alloc("i32", [4, 5]), RangeError, message);
    arena.release(mark);
    assertEquals([arena.used, arena.peak], [64, 192]);
    assertEquals(arena.alloc("i32", [48]).address, second.address);
    assertEquals([arena.used, arena.peak], [256, 256]);
    lab.stream.fill(second, 2);
    assertEquals([...await lab.f32(second)], Array(17).fill(2));
    assertThrows(
      () => second.view(10, [8]),
      RangeError,
      "view [8] at 10 does not fit into f32[17]",
    );
    assertThrows(() => second.view(-1, [1]), RangeError);
  },
);

testBackends("transfers: only what fits exactly is copied", async (backend) => {
  using lab = await Lab.open({ backend });
  const { stream } = lab;
  const a = lab.out([3]), b = lab.out([4]);
  const upload = () => stream.upload(a, new Float32Array(4));
  assertThrows(upload, RangeError, "upload: 16 bytes do not fit f32[3] exactly");
  const download = () => stream.download(a, new Float32Array(2));
  await assertRejects(download, RangeError, "download: f32[3] does not fit 8 bytes exactly");
  assertThrows(() => stream.copy(a, b), RangeError, "copy: f32[4] does not fit f32[3] exactly");
  const bytes = lab.alloc("u8", [4]);
  assertThrows(() => stream.fill(bytes, 0), TypeError, "fill: u8[4] has no 4-byte elements");
  const halves = lab.alloc("bf16", [2, 2]);
  stream.fill(halves, -1.5);
  assertEquals([...await stream.download(halves, new Uint16Array(4))], Array(4).fill(0xbfc0));
  const odd = halves.view(0, [3]);
  assertThrows(() => stream.fill(odd, 0), TypeError, "fill: bf16[3] has no 4-byte elements");

  // The host may reuse an array at once, and a part of one is as good as a whole.
  const host = Float32Array.of(9, 1, 2, 3, 9);
  stream.upload(a, host.subarray(1, 4));
  host.fill(0);
  stream.copy(b.rows(3), a);
  const target = new Float32Array(6);
  await stream.download(b.rows(3), target.subarray(2, 5));
  assertEquals([...target], [0, 0, 1, 2, 3, 0]);
});

testBackends(
  "graphs: a recorded list of ops runs when launched, on what the memory then holds",
  async (backend) => {
    using lab = await Lab.open({ backend });
    const { stream } = lab;
    const [source, middle, target] = [lab.put(Float32Array.of(1)), lab.out([1]), lab.out([1])];
    using graph = stream.record(() => {
      stream.copy(target, middle);
      stream.copy(middle, source);
    });
    assertEquals([...await lab.f32(middle)], [NaN]);
    for (const value of [5, 6, 7]) {
      stream.upload(source, Float32Array.of(value));
      stream.launch(graph);
    }
    assertEquals([...await lab.f32(middle), ...await lab.f32(target)], [7, 6]);
  },
);

testBackends("graphs: an error while recording leaves the stream as it was", async (backend) => {
  using lab = await Lab.open({ backend });
  const { stream } = lab;
  const x = lab.zeros([2]);
  const fail = () =>
    stream.record(() => {
      stream.fill(x, 1);
      throw new Error("no op after all");
    });
  assertThrows(fail, Error, "no op after all");
  const spoilt = () =>
    stream.record(() => {
      stream.device.symbols.tk_graph_end(stream.handle, new BigUint64Array(1));
      throw new Error("and no recording either");
    });
  assertThrows(spoilt, Error, "and no recording either");
  const nested = () => stream.record(() => stream.record(() => {}));
  assertThrows(nested, NativeError, "a graph is already being recorded");
  let waited: Promise<unknown> | undefined;
  stream.record(() => waited = assertRejects(() => lab.f32(x), NativeError, "recorded"))
    [Symbol.dispose]();
  await waited;
  assertEquals([...await lab.f32(x)], [0, 0]);
});

Deno.test("streams: an op's failure is reported once, and skips what was enqueued behind it", async () => {
  using lab = await Lab.open();
  const { stream } = lab;
  const x = lab.zeros([1, 2]), w = lab.zeros([2]), ids = lab.put(Int32Array.of(7));
  const status = lab.device.symbols.tk_embedding_forward(
    stream.handle,
    x.address,
    ids.address,
    w.address,
    1,
    1,
    2,
    0,
  );
  assertEquals(status, 0);
  stream.fill(w, 3);
  await assertRejects(() => stream.sync(), NativeError, "stream_sync: ");
  assertEquals([...await lab.f32(w)], [0, 0]);
  stream.fill(w, 3);
  assertEquals([...await lab.f32(w)], [3, 3]);
  const wrong = () => rmsnormForward(stream, { y: x, x, w: lab.zeros([3]), eps: 1e-6 });
  assertThrows(wrong, TypeError, "rmsnorm_forward: w is f32[3], expected f32[2]");
});

testBackends(
  "events: one stream waits for another, and time passes between them",
  async (backend) => {
    using lab = await Lab.open({ backend });
    using other = lab.device.stream();
    const { device: { symbols, handle }, stream } = lab;
    const check = (status: number) => lab.device.check("event", status);
    const create = () => {
      const out = new BigUint64Array(1);
      check(symbols.tk_event_create(handle, out));
      return out[0];
    };
    const [start, end] = [create(), create()];
    const elapsed = new Float64Array(1);
    const tooEarly = () => check(symbols.tk_event_elapsed(start, end, elapsed));
    assertThrows(tooEarly, NativeError, "event: an event was not recorded");

    const big = lab.alloc("f32", [2 ** 22]), copy = lab.out([1]);
    check(symbols.tk_event_record(stream.handle, start));
    for (let value = 1; value <= 8; value++) stream.fill(big, value);
    check(symbols.tk_event_record(stream.handle, end));
    check(symbols.tk_stream_wait_event(other.handle, end));
    other.copy(copy, big.view(big.size - 1, [1]));
    await other.sync();
    check(symbols.tk_event_elapsed(start, end, elapsed));
    assert(elapsed[0] > 0 && elapsed[0] < 60_000, `${elapsed[0]} ms`);
    assertEquals([...await lab.f32(copy)], [8]);
    for (const event of [start, end]) check(symbols.tk_event_destroy(event));
  },
);

testBackends(
  "readBack: what the tensor held when it was asked for, whatever is enqueued afterwards",
  async (backend) => {
    using lab = await Lab.open({ backend });
    const { stream } = lab, x = lab.out([3]), big = lab.alloc("f32", [2 ** 22]);
    // On a busy machine the end of all may be told with the first: then once more.
    let waited = true;
    for (let round = 0; round < 5 && waited; round++) {
      const values = [1, 2, 3].map((value) => {
        stream.fill(x, value);
        return stream.readBack(x, new Float32Array(3));
      });
      let later = false;
      for (let value = 1; value <= 20; value++) stream.fill(big, value);
      stream.fill(x, 9);
      const end = stream.sync().then(() => later = true);
      await values[0];
      waited = later;
      const all = await Promise.all(values);
      assertEquals(all.map((v) => [...v]), [[1, 1, 1], [2, 2, 2], [3, 3, 3]]);
      await end;
    }
    assert(!waited, "it waited for what was enqueued after it");
    await assertRejects(() => stream.readBack(x, new Float32Array(2)), RangeError, "does not fit");

    // A failure before it is told, also where several wait, and the queue works again.
    const pairs = lab.put(Int32Array.of(7, 0), [1, 2]), words = lab.out([4], "i32");
    writeWords(stream, { dst: words, pairs });
    const waiting = [0, 1].map(() => stream.readBack(x, new Float32Array(3)));
    const failed = await Promise.allSettled(waiting);
    assert(failed.some(({ status }) => status === "rejected"));
    for (const each of failed) {
      if (each.status === "rejected") assertStringIncludes(`${each.reason}`, "word 7 is written");
    }
    await stream.sync().catch(() => {});
    assertEquals([...await stream.readBack(x, new Float32Array(3))], [9, 9, 9]);
  },
);
