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
 * using model = await loadModel("runs/my-run/checkpoints/step-40"); // or a copy of that folder
 * const { final } = await solve(model, "47+85=", { onText: (stage, text) => console.log(stage, text) });
 * console.log(final?.answer);
 * ```
 *
 * @example Grade a response
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { gradeResponse } from "./mod.ts";
 *
 * const verdict = gradeResponse("half of it, so \\boxed{0.5}", "\\frac12");
 * assertEquals(verdict, { equal: true, reason: "exact" });
 * ```
 *
 * @module
 */
export {
  type Allocation,
  type Arena,
  type Backend,
  type BuildOptions,
  Device,
  type DeviceChoice,
  type DeviceInfo,
  type DeviceOptions,
  type DType,
  type Graph,
  type HostArray,
  openDevice,
  type Precision,
  precisions,
  type Storage,
  type Stream,
  type Tensor,
} from "./ffi/mod.ts";
export {
  type Hooks,
  type Metrics,
  Random,
  type RandomState,
  type Schema,
  type SchemaError,
  type SchemaIssue,
  type SchemaResult,
  UserError,
} from "./src/base/mod.ts";
export {
  type Continuation,
  Engine,
  type EngineOptions,
  type PromptRequest,
  type RunOptions,
  type RunStats,
  type SamplingOptions,
  type SequenceRequest,
  type SubmitOptions,
  type Submitted,
  type Turn as SampledTurn,
} from "./src/engine/mod.ts";
export {
  type AskChoices,
  type Asking,
  type EpisodeGroup,
  evaluate,
  type EvaluateOptions,
  type Evaluation,
  howToAsk,
  type Played,
  playEpisodes,
  type PlayOptions,
  type Solution,
  solve,
  type SolveOptions,
} from "./src/rollout/mod.ts";
export {
  type Comparison,
  grade,
  type GradeCounts,
  type GradedProblem,
  type GradeOptions,
  GradePool,
  type GradePoolOptions,
  type Grader,
  gradeResponse,
  type Reason,
} from "./src/grade/mod.ts";
export {
  type Architecture,
  type ChatMessage,
  ChatTemplate,
  type ChatTemplateFiles,
  type DecodeOptions,
  Decoder,
  type DecoderOptions,
  type EncodeOptions,
  type ForwardPass,
  type HeadKind,
  initialise,
  type LinearScaling,
  type Llama3Scaling,
  loadModel,
  type LoadOptions,
  Model,
  type ModelConfig,
  type PackedBatch,
  type RenderOptions,
  type RopeScaling,
  type StreamDecoder,
  Tokenizer,
  type Trained,
  type YarnScaling,
} from "./src/model/mod.ts";
export {
  type Estimator,
  estimators,
  type KlEstimator,
  klEstimators,
  type PpoConfig,
  ppoSchema,
  type WarmstartConfig,
  warmstartSchema,
} from "./src/ppo/mod.ts";
export * from "./src/task/mod.ts";
export { tinyPrompts } from "./src/tiny/mod.ts";
export {
  type Offload,
  offloads,
  type PresetName,
  presetNames,
  presets,
  type Sharding,
  shardings,
  type TrainConfig,
  trainConfigSchema,
} from "./src/setup/mod.ts";
export { type ReportRow, train, type TrainOptions, type TrainResults } from "./src/train/mod.ts";
