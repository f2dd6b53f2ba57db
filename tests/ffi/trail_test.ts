import { assertEquals } from "@std/assert";
import { Tensor } from "../../ffi/mod.ts";
import { describeCall, Trail } from "../../ffi/trail.ts";

const tensor = (...shape: number[]) => new Tensor({ alive: false }, 0n, "bf16", shape);

Deno.test("trail: a call is described by what it was given", () => {
  const w = { data: tensor(96), N: 6, K: 8 };
  const args = { y: tensor(2, 6), w, bias: undefined, accumulate: true };
  const text = "linear_forward(y bf16[2, 6], data bf16[96], N 6, K 8, accumulate true)";
  assertEquals(describeCall("linear_forward", args), text);
  assertEquals(describeCall("stream_sync", {}), "stream_sync");
});

Deno.test("trail: calls of a stream are forgotten when they have been waited for", () => {
  const trail = new Trail();
  assertEquals(`${trail}`, "nothing was enqueued since the last wait");
  trail.add(1n, "a", {});
  trail.add(2n, "b", {});
  const before = trail.count;
  trail.add(1n, "c", {});
  trail.add(1n, "c", {});
  const since = "enqueued since the last wait, the latest first: ";
  assertEquals(`${trail}`, `${since}2 x c, b, a`);
  trail.finish(1n, before);
  assertEquals(`${trail}`, `${since}2 x c, b`);
  trail.close(2n);
  trail.finish(1n, 0); // a wait that began earlier and ended later
  assertEquals(`${trail}`, `${since}2 x c`);
  trail.finish(1n, trail.count);
  assertEquals(`${trail}`, "nothing was enqueued since the last wait");
});

Deno.test("trail: each op is named once, with the tensors of its latest call", () => {
  const trail = new Trail();
  for (let i = 0; i < 2000; i++) trail.add(1n, `op${i % 2}`, { y: tensor(i), scale: 3 });
  assertEquals(
    `${trail}`,
    "enqueued since the last wait, the latest first: 512 x op1(y bf16[1999]), " +
      "512 x op0(y bf16[1998]); and older ones",
  );
});
