import { decodeAdvance, writeWords } from "../../ffi/mod.ts";
import { assertEquals, assertRejects } from "@std/assert";
import { Lab, type Rand, seeded, testBackends } from "../native.ts";

/** The host's copy of a decode batch. */
interface State {
  tokens: number[];
  positions: number[];
  remaining: number[];
  outTokens: number[][];
  outLogprobs: number[][];
}

const CAPACITY = 9;

function advance(state: State, sampled: Int32Array, logprobs: Float32Array, stops: number[]): void {
  state.positions.forEach((position, b) => {
    if (position < 0) return;
    state.outTokens[b].push(sampled[b]);
    state.outLogprobs[b].push(logprobs[b]);
    state.tokens[b] = sampled[b];
    state.remaining[b]--;
    const stopped = state.remaining[b] === 0 || stops.includes(sampled[b]);
    state.positions[b] = stopped ? -1 : position + 1;
  });
}

function randomState(rand: Rand, B: number): State {
  return {
    tokens: [...rand.ints(B, 0, 20)],
    positions: Array.from({ length: B }, () => rand.uniform() < 0.2 ? -1 : rand.int(0, 500)),
    remaining: [...rand.ints(B, 1, CAPACITY + 1)],
    outTokens: Array.from({ length: B }, () => []),
    outLogprobs: Array.from({ length: B }, () => []),
  };
}

function putState(lab: Lab, { tokens, positions, remaining }: State) {
  const B = tokens.length, put = (x: number[]) => lab.put(Int32Array.from(x));
  return {
    tokens: put(tokens),
    positions: put(positions),
    remaining: put(remaining),
    outTokens: lab.out([B, CAPACITY], "i32"),
    outLogprobs: lab.out([B, CAPACITY]),
    outCount: put(Array(B).fill(0)),
  };
}

for (const stops of [[3, 7], [5], []]) {
  testBackends(
    `decode_advance: books tokens until one of [${stops}] or the budget`,
    async (backend) => {
      using lab = await Lab.open({ backend });
      await seeded(async (rand) => {
        const B = 17, host = randomState(rand, B), state = putState(lab, host);
        const stopIds = lab.put(Int32Array.from([...stops, -9])).rows(stops.length);
        for (let step = 0; step < CAPACITY + 1; step++) {
          const sampled = rand.ints(B, 0, 20), logprobs = rand.normal(B);
          decodeAdvance(lab.stream, {
            state,
            sampled: lab.put(sampled),
            sampledLogprobs: lab.put(logprobs),
            stopIds,
          });
          advance(host, sampled, logprobs, stops);
          assertEquals([...await lab.i32(state.tokens)], host.tokens, "tokens");
          assertEquals([...await lab.i32(state.positions)], host.positions, "positions");
          assertEquals([...await lab.i32(state.remaining)], host.remaining, "remaining");
          assertEquals(
            [...await lab.i32(state.outCount)],
            host.outTokens.map((x) => x.length),
            "count",
          );
        }
        const fill = (rows: number[][], poison: number) =>
          rows.flatMap((x) => [...x, ...Array(CAPACITY - x.length).fill(poison)]);
        assertEquals([...await lab.i32(state.outTokens)], fill(host.outTokens, -77777));
        assertEquals([...await lab.f32(state.outLogprobs)], fill(host.outLogprobs, NaN));
        assertEquals(host.positions, Array(B).fill(-1), "every budget is spent");
      });
    },
  );
}

testBackends(
  "decode_advance: a row without room is an error, not a write past its end",
  async (backend) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      const host = { ...randomState(rand, 2), positions: [-1, 4], remaining: [1, CAPACITY + 1] };
      const state = putState(lab, host);
      const args = { state, sampled: lab.put(rand.ints(2, 0, 9)), sampledLogprobs: lab.zeros([2]) };
      const stopIds = lab.put(Int32Array.of(99));
      for (let step = 0; step <= CAPACITY; step++) decodeAdvance(lab.stream, { ...args, stopIds });
      await assertRejects(
        () => lab.stream.sync(),
        Error,
        "row 1 has no room for more than 9 tokens",
      );
    });
  },
);

testBackends(
  "write_words: the named words, and no other; one that is not there is named",
  async (backend) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      const size = 1000, dst = lab.put(rand.ints(size, -9, 9)), expected = await lab.i32(dst);
      const indices = [...new Set(rand.ints(400, 0, size))];
      const pairs = indices.map((index) => [index, rand.int(-(2 ** 31), 2 ** 31)]);
      for (const [index, value] of pairs) expected[index] = value;
      writeWords(lab.stream, {
        dst,
        pairs: lab.put(Int32Array.from(pairs.flat()), [pairs.length, 2]),
      });
      assertEquals(await lab.i32(dst), expected);
      writeWords(lab.stream, { dst, pairs: lab.put(new Int32Array(0), [0, 2]) });
      for (const wrong of [size, -1]) {
        writeWords(lab.stream, { dst, pairs: lab.put(Int32Array.of(wrong, 5), [1, 2]) });
        const message = `word ${wrong} is written, but there are ${size}`;
        await assertRejects(() => lab.stream.sync(), Error, message);
      }
      assertEquals(await lab.i32(dst), expected);
    });
  },
);
