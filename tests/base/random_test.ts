import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { hash64, Random } from "../../src/base/mod.ts";

const draw = (random: Random, n: number) => Array.from({ length: n }, () => random.next());

Deno.test("Random: known values, so that data sets never change unnoticed", () => {
  // The first outputs of SplitMix64 for the state 1234567, as its reference code gives them.
  const random = Random.from({ key: 1234567n.toString(16), draws: 0 });
  for (const bits of [6457827717110365317n, 3203168211198807973n, 9817491932198370423n]) {
    assertEquals(random.next(), Number(bits >> 11n) / 2 ** 53);
  }
  assertEquals(hash64("47+85"), 0xbff18d9958adc2edn);
});

Deno.test("Random: the seed decides, neighbouring seeds differ", () => {
  assertEquals(draw(new Random(7), 20), draw(new Random(7), 20));
  const first = new Set(Array.from({ length: 1000 }, (_, seed) => new Random(seed).next()));
  assertEquals(first.size, 1000);
  for (const bad of [0.5, NaN, Infinity, 2 ** 60]) assertThrows(() => new Random(bad), RangeError);
});

Deno.test("Random: continues from its state, also through JSON", () => {
  fc.assert(fc.property(fc.maxSafeInteger(), fc.nat(50), (seed, n) => {
    const random = new Random(seed).fork("x");
    draw(random, n);
    const copy = Random.from(JSON.parse(JSON.stringify(random.state())));
    assertEquals(draw(copy, 10), draw(random, 10));
    assertEquals(copy.fork("y").next(), random.fork("y").next());
  }));
});

Deno.test("Random: a fork depends on seed and label, not on the draws before", () => {
  const parent = new Random(3);
  const early = draw(parent.fork("data"), 5);
  draw(parent, 100);
  assertEquals(draw(parent.fork("data"), 5), early);
  const others = [parent, parent.fork("eval"), new Random(4).fork("data")];
  for (const other of others) assert(draw(other, 5).every((x, i) => x !== early[i]));
});

Deno.test("Random: uniform in [0, 1) and over integers, no correlation of neighbours", () => {
  const n = 100_000;
  const xs = draw(new Random(1), n);
  assert(xs.every((x) => x >= 0 && x < 1));
  // Limits are five standard deviations: mean 1/2 ± 5/sqrt(12 n), lag-1 covariance ± 5/(12 sqrt n).
  const mean = xs.reduce((a, b) => a + b) / n;
  assert(Math.abs(mean - 0.5) < 5 / Math.sqrt(12 * n));
  const lag = xs.slice(1).reduce((sum, x, i) => sum + (x - 0.5) * (xs[i] - 0.5), 0) / n;
  assert(Math.abs(lag) < 5 / (12 * Math.sqrt(n)));
  const random = new Random(2);
  const counts = new Array(6).fill(0);
  for (let i = 0; i < n; i++) counts[random.int(1, 6) - 1]++;
  for (const count of counts) {
    assert(Math.abs(count - n / 6) < 5 * Math.sqrt(n * 5 / 36), `${counts}`);
  }
});

Deno.test("Random: shuffle is a permutation, every order comes up equally often", () => {
  const random = new Random(5);
  const items = [1, 2, 3];
  const counts = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = random.shuffle(items).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assertEquals([...counts.keys()].sort(), ["123", "132", "213", "231", "312", "321"]);
  for (const count of counts.values()) assert(Math.abs(count - 1000) < 150, `${[...counts]}`);
  assertEquals(items, [1, 2, 3]);
});

Deno.test("Random: pick takes every item and refuses an empty list", () => {
  const random = new Random(6);
  const seen = new Set(Array.from({ length: 100 }, () => random.pick(["a", "b", "c"])));
  assertEquals([...seen].sort(), ["a", "b", "c"]);
  assertThrows(() => random.pick([]), RangeError);
});
