/**
 * Thinker: trains language models to think fast and slow, and runs them.
 *
 * A question becomes a dialogue of four stages (Fast Thinking, Verification, Slow Thinking,
 * Summarization), each with its own prompt, token budget and reward; PPO with a critic trains the model
 * on them (Thinker, arXiv 2505.21097). Rollouts, training and evaluation run on one set of hand-written
 * kernels, built for this machine on first use.
 *
 * @example Ask a trained model
 * ```ts ignore
 * import { loadModel, solve } from "./mod.ts";
 *
 * using model = await loadModel("runs/my-run/checkpoints/step-40");
 * const { final } = await solve(model, "47+85=?", { onText: (stage, text) => console.log(stage, text) });
 * console.log(final?.answer);
 * ```
 *
 * @module
 */
export { Device } from "./ffi/mod.ts";
export * from "./src/errors.ts";
export {
  Engine,
  type EngineOptions,
  type PromptRequest,
  type SamplingOptions,
  type SequenceRequest,
} from "./src/engine/mod.ts";
export { evaluate, type Evaluation, solve, type SolveOptions } from "./src/eval/mod.ts";
export { grade, gradeResponse, type Verdict } from "./src/grade/mod.ts";
export { Decoder, loadModel, Model, Tokenizer } from "./src/model/mod.ts";
export { type PpoConfig, ppoSchema, warmstartSchema } from "./src/ppo/mod.ts";
export { type Grader, playEpisodes } from "./src/rollout/mod.ts";
export * from "./src/task/mod.ts";
export { presets } from "./src/run/presets.ts";
export { type TrainConfig, trainConfigSchema } from "./src/run/config.ts";
export { train, type TrainOptions } from "./src/run/train.ts";
