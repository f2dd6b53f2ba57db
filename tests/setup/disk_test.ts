import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { freeBytes, UserError } from "../../src/base/mod.ts";
import { checkDisk, planDisk, presets, type TrainConfig } from "../../src/setup/mod.ts";
import { knownModels } from "../../src/setup/known_models.ts";
import { smallConfig, TempDir } from "../e2e/small.ts";

const model = knownModels["Qwen/Qwen2.5-1.5B"];

/** What lies on the disk at most, checkpoint by checkpoint. */
function simulate(config: TrainConfig): number {
  const { steps, saveEvery, keep, keepWeights, ppo } = config;
  const sizes = planDisk(config, model);
  const disk = new Map([[0, sizes.first]]);
  let peak = sizes.first;
  for (let step = 1; step <= steps; step++) {
    if (step % saveEvery !== 0 && step !== steps) continue;
    disk.set(step, sizes.checkpoint);
    peak = Math.max(peak, [...disk.values()].reduce((a, b) => a + b));
    for (const each of keep === null ? [] : [...disk.keys()].slice(0, -keep)) {
      if (keepWeights || (each === 0 && ppo.klCoefficient > 0)) disk.set(each, sizes.model);
      else disk.delete(each);
    }
  }
  return peak;
}

Deno.test("disk: a plan is what lies there at most, whatever is kept", () => {
  const property = fc.property(
    fc.record({
      steps: fc.integer({ min: 1, max: 40 }),
      saveEvery: fc.integer({ min: 1, max: 50 }),
      keep: fc.option(fc.integer({ min: 1, max: 9 })),
      keepWeights: fc.boolean(),
      ppo: fc.record({
        klCoefficient: fc.constantFrom(0, 0.1),
        estimator: fc.constantFrom("gae" as const, "grpo" as const),
      }),
    }),
    ({ ppo, ...changes }) => {
      const config = smallConfig({ ...changes, ppo });
      assertEquals(planDisk(config, model).total, simulate(config));
    },
  );
  fc.assert(property, { numRuns: 300 });
});

Deno.test("disk: no room is one line that names need, room and what to lower; both ways then fit", async () => {
  await using dir = await TempDir.make();
  const place = { out: `${dir.path}/not/there` };
  const free = (await freeBytes(place.out))!;
  assert(free > 0);
  const large = { ...presets["q1.5b"], steps: 10 ** 9, saveEvery: 1 };
  const refuse = async (config: TrainConfig) => {
    const { message, hint } = await assertRejects(
      () => checkDisk(config, model, place),
      UserError,
      `where ${place.out} is, `,
    );
    assert(!message.includes("\n"));
    return hint!;
  };
  const hint = await refuse(large);
  // As many as there is room for, on this machine: none fewer than two checkpoints.
  const [, keep] = /^keep fewer with --keep (\d+), or /.exec(hint) ?? [];
  const [, every] = /save less often with --set saveEvery=(\d+), or free some room/.exec(hint) ??
    [];
  const { first, checkpoint } = planDisk(large, model);
  assertEquals([keep !== undefined, every !== undefined], [
    free >= 2 * checkpoint,
    free >= first + checkpoint,
  ]);
  if (keep) await checkDisk({ ...large, keep: Number(keep) - 1 || 1 }, model, place);
  if (every) await checkDisk({ ...large, saveEvery: Number(every) + 10 ** 6 }, model, place);
  // A run that goes on has a part of it there already, and cannot save less often.
  const total = planDisk(large, model).total;
  await checkDisk(large, model, { ...place, present: total }).catch(() =>
    assert(free < checkpoint)
  );
  const resumed = await assertRejects(
    () => checkDisk(large, model, { ...place, present: 1 }),
    UserError,
    " more, and where ",
  );
  assert(!resumed.hint!.includes("saveEvery"));
});
