/**
 * Which checkpoints of a run stay.
 *
 * @module
 */
import { exists } from "../base/mod.ts";
import { trainerFolder } from "../model/mod.ts";
import { refersToStart, type TrainConfig } from "../setup/mod.ts";
import type { RunFolder } from "./folder.ts";

/**
 * Removes the checkpoints that are older than `keep` says, now that the one of `step` is on disk. Those of
 * later steps are of a run that was taken back before them: they neither go nor count.
 *
 * @throws {UserError} when the system refuses.
 */
export async function keepNewest(
  folder: RunFolder,
  step: number,
  config: TrainConfig,
): Promise<void> {
  const { keep, keepWeights } = config;
  if (keep === null) return;
  const upTo = (await folder.checkpoints()).filter((each) => each.step <= step);
  for (const { step, path } of upTo.slice(0, -keep)) {
    const asModel = keepWeights || step === 0 && refersToStart(config);
    if (!asModel) await folder.discard(step);
    else if (await exists(trainerFolder(path))) await folder.discard(step, "trainer");
  }
}
