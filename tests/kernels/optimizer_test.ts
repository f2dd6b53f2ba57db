import { assertThrows } from "@std/assert";
import { type AdamW, adamw, gradNorm, NativeError } from "../../ffi/mod.ts";
import { assertClose, assertSameBits, Lab, seeded, testBackends } from "../native.ts";
import { assertSameForAnyThreads } from "./threads.ts";

const plain: AdamW = {
  lr: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0,
  maxNorm: Infinity,
  t: 1,
};

interface State {
  p: Float64Array;
  m: Float64Array;
  v: Float64Array;
}

/** One textbook AdamW step in float64: decay the parameters, then move along m_hat / sqrt(v_hat). */
function reference(state: State, grads: Float32Array, step: AdamW): State {
  const norm = Math.sqrt(grads.reduce((a, g) => a + g * g, 0));
  const scale = Math.min(1, step.maxNorm / norm);
  const m = state.m.map((m, i) => step.beta1 * m + (1 - step.beta1) * scale * grads[i]);
  const v = state.v.map((v, i) => step.beta2 * v + (1 - step.beta2) * (scale * grads[i]) ** 2);
  const p = state.p.map((p, i) => {
    const mean = m[i] / (1 - step.beta1 ** step.t);
    const root = Math.sqrt(v[i] / (1 - step.beta2 ** step.t));
    return p * (1 - step.lr * step.weightDecay) - step.lr * mean / (root + step.eps);
  });
  return { p, m, v };
}

for (
  const [name, options] of Object.entries({
    plain: {},
    "weight decay": { weightDecay: 0.3 },
    clipping: { maxNorm: 0.7, eps: 0.01 },
    "a norm below the limit": { maxNorm: 1e6, weightDecay: 0.01 },
  })
) {
  testBackends(`adamw, ${name}: three steps agree with float64`, async (backend) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      for (const n of [1, 15, 17, 130, 20_001]) {
        const start = rand.normal(n);
        const params = lab.put(start), m = lab.zeros([n]), v = lab.zeros([n]), norm = lab.out([1]);
        let state: State = {
          p: Float64Array.from(start),
          m: new Float64Array(n),
          v: new Float64Array(n),
        };
        for (const t of [1, 2, 3]) {
          const g = rand.normal(n, 2), grads = lab.put(g), step = { ...plain, ...options, t };
          gradNorm(lab.stream, { norm, grads });
          adamw(lab.stream, { params, grads, m, v, norm, ...step });
          state = reference(state, g, step);
          assertSameBits(await lab.f32(grads), g, "grads");
        }
        assertClose(await lab.f32(params), state.p, 1e-5, `params of ${n}`);
        assertClose(await lab.f32(m), state.m, 1e-5, `m of ${n}`);
        assertClose(await lab.f32(v), state.v, 1e-5, `v of ${n}`);
      }
    });
  });
}

testBackends(
  "adamw: the first step moves every parameter by lr against its gradient's sign",
  async (backend) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      const n = 100, start = rand.normal(n), g = rand.normal(n, 1e-3);
      const [params, grads, m, v] = [lab.put(start), lab.put(g), lab.zeros([n]), lab.zeros([n])];
      const norm = lab.out([1]);
      gradNorm(lab.stream, { norm, grads });
      adamw(lab.stream, { params, grads, m, v, norm, ...plain, eps: 0 });
      assertClose(await lab.f32(params), start.map((p, i) => p - 0.1 * Math.sign(g[i])), 1e-6);
    });
  },
);

testBackends("adamw: a norm that is not finite changes nothing", async (backend) => {
  using lab = await Lab.open({ backend });
  await seeded(async (rand) => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const n = 40, [p, g, m, v] = [1, 2, 3, 4].map(() => rand.normal(n));
      g[17] = bad;
      const [params, grads, mT, vT] = [p, g, m, v].map((a) => lab.put(a));
      const norm = lab.out([1]);
      gradNorm(lab.stream, { norm, grads });
      adamw(lab.stream, { params, grads, m: mT, v: vT, norm, ...plain, maxNorm: 1 });
      assertSameBits(await lab.f32(params), p, "params");
      assertSameBits(await lab.f32(mT), m, "m");
      assertSameBits(await lab.f32(vT), v, "v");
    }
  });
});

testBackends("adamw: a gradient of zeros decays moments and weights only", async (backend) => {
  using lab = await Lab.open({ backend });
  const [params, m, v] = [1, 2, 4].map((x) => lab.put(Float32Array.of(x)));
  const [grads, norm] = [lab.zeros([1]), lab.out([1])];
  gradNorm(lab.stream, { norm, grads });
  const step = { ...plain, lr: 0, beta1: 0.5, beta2: 0.25, maxNorm: 1 };
  adamw(lab.stream, { params, grads, m, v, norm, ...step });
  const state = await Promise.all([norm, params, m, v].map((t) => lab.f32(t)));
  assertClose(state.map((a) => a[0]), [0, 1, 1, 1], 0);
});

testBackends("grad_norm: agrees with float64 and does not depend on threads", async (backend) => {
  await seeded(async (rand) => {
    for (const n of [1, 16, 33, 16_384, 16_385, 200_003]) {
      const g = rand.normal(n);
      const expected = Math.sqrt(g.reduce((a, x) => a + x * x, 0));
      await assertSameForAnyThreads(backend, async (lab) => {
        const norm = lab.out([1]);
        gradNorm(lab.stream, { norm, grads: lab.put(g) });
        const result = await lab.f32(norm);
        assertClose(result, [expected], 1e-6, `norm of ${n}`);
        return [result];
      });
    }
  });
});

testBackends("adamw: the number of threads changes no bit", async (backend) => {
  await seeded(async (rand) => {
    const [p, g, m, v] = [1, 2, 3, 4].map(() => rand.normal(100_003).map((x) => Math.abs(x)));
    await assertSameForAnyThreads(backend, async (lab) => {
      const [params, grads, mT, vT] = [p, g, m, v].map((a) => lab.put(a));
      const norm = lab.out([1]);
      gradNorm(lab.stream, { norm, grads });
      adamw(lab.stream, { params, grads, m: mT, v: vT, norm, ...plain, maxNorm: 1, t: 7 });
      return await Promise.all([params, mT, vT].map((t) => lab.f32(t)));
    });
  });
});

testBackends("adamw: bad arguments are named", async (backend) => {
  using lab = await Lab.open({ backend });
  const [params, grads, m, v, norm] = [4, 4, 4, 5, 1].map((n) => lab.zeros([n]));
  assertThrows(
    () => adamw(lab.stream, { params, grads, m, v, norm, ...plain }),
    TypeError,
    "adamw: v is f32[5], expected f32[4]",
  );
  const args = { params, grads, m, v: v.rows(4), norm, ...plain };
  assertThrows(() => adamw(lab.stream, { ...args, t: 0 }), NativeError, "t counts from 1");
  assertThrows(() => adamw(lab.stream, { ...args, maxNorm: 0 }), NativeError, "max_norm must be");
});
