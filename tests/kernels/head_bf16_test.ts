/** The LM head's tensor-core path: shapes of the tile, chunks of rows, slabs of the vocabulary. */
import { crossEntropyLoss, lmHeadLogprobs, lmHeadSample, ppoLoss, stat } from "../../ffi/mod.ts";
import { assert, assertThrows } from "@std/assert";
import { assertClose, assertSameBits, Lab, seeded } from "../native.ts";
import {
  assertGradients,
  crossEntropy64,
  headLoss64,
  logits64,
  logSoftmax64,
  packWeight,
  randomHead,
} from "./head_reference.ts";
import { uniformAt } from "./philox.ts";
import { floats, logprobError, outAs, putAs, testBf16 } from "./precision.ts";

testBf16(
  "lm head: sampling few rows and scoring many give the same log-prob bits",
  async (backend) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      const [T, C, V] = [200, 72, 700], head = randomHead(rand, [T, C, V], 2, "bf16");
      const w = packWeight(lab, head.w, V, C, "bf16"), h = putAs(lab, "bf16", head.h, [T, C]);
      const workspace = lab.alloc("u8", [T * V * 4]);
      const [tokens, sampled, scored] = [lab.out([T], "i32"), lab.out([T]), lab.out([T])];
      const sampling = Float32Array.from({ length: 3 * T }, (_, i) => [0.9, 1, 0][i % 3]);
      const [settings, keys] = [lab.put(sampling, [T, 3]), lab.put(rand.ints(4 * T, 0, 9), [T, 4])];
      const positions = lab.put(rand.ints(T, 0, 4096));
      // 16, 64 and more rows are three shapes of the tile.
      for (const [first, B] of [[0, 1], [1, 16], [17, 40], [57, 143]]) {
        lmHeadSample(lab.stream, {
          h: h.view(first * C, [B, C]),
          w,
          workspace,
          tokens: tokens.view(first, [B]),
          logprobs: sampled.view(first, [B]),
          sampling: settings.view(first * 3, [B, 3]),
          keys: keys.view(first * 4, [B, 4]),
          positions: positions.view(first, [B]),
        });
      }
      lmHeadLogprobs(lab.stream, {
        h,
        w,
        workspace,
        logprobs: scored,
        targets: tokens,
        temperature: 0.9,
      });
      const expected = await lab.f32(sampled);
      assertSameBits(await lab.f32(scored), expected, "scored at once");
      // Rows that do not begin on 16 bytes take the path of single elements.
      const padded = new Float32Array(3 + T * C);
      padded.set(head.h, 3);
      const shifted = putAs(lab, "bf16", padded, [padded.length]).view(3, [T, C]);
      lmHeadLogprobs(lab.stream, {
        h: shifted,
        w,
        workspace,
        logprobs: scored,
        targets: tokens,
        temperature: 0.9,
      });
      assertSameBits(await lab.f32(scored), expected, "scored unaligned");
    });
  },
);

testBf16(
  "ppo_loss: slabs and chunks change no bit but those of dw's sum over chunks",
  async (backend) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      const [T, C, V] = [300, 40, 4400], head = randomHead(rand, [T, C, V], 2, "bf16");
      const h = putAs(lab, "bf16", head.h, [T, C]), w = packWeight(lab, head.w, V, C, "bf16");
      const targets = lab.put(rand.ints(T, 0, V));
      const [tokenWeights, advantages, oldLogprobs] = [0, 1, 2].map(() =>
        lab.put(rand.normal(T).map(Math.abs))
      );
      const run = async (workspaceBytes: number) => {
        const stats = lab.zeros([stat.count]), logprobs = lab.out([T]);
        const dh = outAs(lab, "bf16", [T, C]), dw = lab.zeros([V, C]);
        const workspace = lab.alloc("u8", [workspaceBytes]);
        const options = {
          temperature: 0.8,
          clipLow: 0.2,
          clipHigh: 0.2,
          entropyCoefficient: 0.1,
          klCoefficient: 0,
          klEstimator: 1,
        } as const;
        const rows = { targets, tokenWeights, advantages, oldLogprobs };
        ppoLoss(lab.stream, { h, w, workspace, stats, logprobs, dh, dw, ...rows, options });
        return {
          stats: await lab.f32(stats),
          logprobs: await lab.f32(logprobs),
          dh: await floats(lab, dh),
          dw: await lab.f32(dw),
        };
      };
      const whole = await run(4 * T * V); // one chunk, one slab
      assert(whole.dw.some((x) => x !== 0));
      const slabs = await run(2_000_000); // one chunk, slabs of 2,944 entries
      for (const name of ["stats", "logprobs", "dh", "dw"] as const) {
        assertSameBits(slabs[name], whole[name], `${name} from slabs`);
      }
      for (const bytes of [1_200_000, 300_000]) { // two chunks of two slabs, then 19 rows at a time
        const chunks = await run(bytes);
        for (const name of ["stats", "logprobs", "dh"] as const) {
          assertSameBits(chunks[name], whole[name], `${name} with ${bytes} bytes`);
        }
      }
    });
  },
);

testBf16("lm head: Qwen2.5's vocabulary in a workspace of one row of logits", async (backend) => {
  using lab = await Lab.open({ backend });
  await seeded(async (rand) => {
    const [T, C, V] = [3, 8, 151_936], head = randomHead(rand, [T, C, V], 2, "bf16");
    const h = putAs(lab, "bf16", head.h, [T, C]), w = packWeight(lab, head.w, V, C, "bf16");
    const workspace = lab.alloc("u8", [4 * V]);
    const [tokens, sampled, logprobs] = [lab.out([T], "i32"), lab.out([T]), lab.out([T])];
    const positions = Int32Array.of(7, 8, 9);
    lmHeadSample(lab.stream, {
      h,
      w,
      workspace,
      tokens,
      logprobs: sampled,
      sampling: lab.put(Float32Array.of(1, 1, 0, 1, 1, 0, 0.8, 0.9, 1000), [T, 3]),
      keys: lab.put(Int32Array.of(11, 0, 1, 0, 11, 0, 2, 0, 11, 0, 3, 0), [T, 4]),
      positions: lab.put(positions),
    });
    const drawn = await lab.i32(tokens);
    for (const t of [0, 1]) {
      const logp = logSoftmax64(logits64(head, t, 1)), u = uniformAt(11n, [t + 1, 0], positions[t]);
      const before = logp.subarray(0, drawn[t]).reduce((sum, x) => sum + Math.exp(x), 0);
      // Float32 probabilities of so many entries: the borders move by some 1e-6.
      assert(u >= before - 1e-5 && u < before + Math.exp(logp[drawn[t]]) + 1e-5, `row ${t}`);
    }
    const better = logits64(head, 2, 1).filter((z, _, all) => z > all[drawn[2]]).length;
    assert(better < 1000, `row 2 drew number ${better}, outside the top 1000`);

    const expected = headLoss64(head, drawn, 1, crossEntropy64([1, 0.5, -1]));
    const dh = outAs(lab, "bf16", [T, C]), dw = lab.zeros([V, C]), stats = lab.zeros([stat.count]);
    const tokenWeights = lab.put(Float32Array.of(1, 0.5, -1));
    const loss = { h, w, workspace, stats, logprobs, dh, dw, targets: tokens, tokenWeights };
    crossEntropyLoss(lab.stream, loss);
    assertClose(await lab.f32(logprobs), expected.logprobs, logprobError("bf16", C), "logprobs");
    assertSameBits((await lab.f32(logprobs)).slice(0, 2), (await lab.f32(sampled)).slice(0, 2));
    assertClose(await lab.f32(stats), expected.stats, 3e-6, "stats");
    assertGradients(head, { dh: await floats(lab, dh), dw: await lab.f32(dw) }, expected);
  });
});

testBf16("lm head: a workspace too small for the tiles is named", async (backend) => {
  using lab = await Lab.open({ backend });
  await seeded((rand) => {
    const head = randomHead(rand, [2, 8, 5], 1, "bf16");
    const args = {
      h: putAs(lab, "bf16", head.h, [2, 8]),
      w: packWeight(lab, head.w, 5, 8, "bf16"),
      logprobs: lab.out([2]),
      targets: lab.put(Int32Array.of(0, 1)),
      temperature: 1,
    };
    assertThrows(
      () => lmHeadLogprobs(lab.stream, { ...args, workspace: lab.alloc("u8", [63]) }),
      Error,
      "a workspace for bfloat16 needs at least 64 bytes",
    );
  });
});
