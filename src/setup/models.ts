/**
 * The models of a run: made and warm-started here, or loaded from a folder.
 *
 * @module
 */
import type { Stream } from "../../ffi/mod.ts";
import { memoryFor, Random, UserError } from "../base/mod.ts";
import {
  checkTokenRows,
  Decoder,
  initialise,
  loadDecoder,
  type ModelConfig,
  type ModelFiles,
  normal,
  readTokenizerConfig,
  readTokenizerJson,
  resolveModelConfig,
  textOfToken,
  Tokenizer,
  valueHeadName,
} from "../model/mod.ts";
import { chatMLTemplate } from "../task/mod.ts";
import { tinyModelConfig, tinyTokenizerConfig, tinyTokenizerJson } from "../tiny/mod.ts";
import type { TrainConfig } from "./config.ts";
import { knownModels } from "./known_models.ts";

/** A tokenizer with the files it came from. */
export interface LoadedTokenizer {
  /** Ready to encode. */
  readonly tokenizer: Tokenizer;
  /** Content of tokenizer.json. */
  readonly json: unknown;
  /** Content of tokenizer_config.json; empty where the folder has none. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** The tokenizer of the config's model folder, or the tiny one. */
export function openTokenizer({ model }: Pick<TrainConfig, "model">): LoadedTokenizer {
  if (model === null) {
    const json = tinyTokenizerJson(), config = tinyTokenizerConfig();
    return { tokenizer: Tokenizer.fromJson(json, "the tiny tokenizer"), json, config };
  }
  const json = readTokenizerJson(model), stored = readTokenizerConfig(model);
  const tokenizer = Tokenizer.fromJson(json, `${model}/tokenizer.json`, stored);
  // An object where there is one: the tokenizer has looked.
  return { tokenizer, json, config: (stored ?? {}) as LoadedTokenizer["config"] };
}

/** What {@linkcode checkpointFiles} needs to know of a run. */
export interface CheckpointUse {
  /** Ids that end a turn, `<|im_end|>` first. */
  readonly stop: readonly number[];
  /** Text of the system turn, where there is one. */
  readonly system?: string;
  /** Sampling temperature. */
  readonly temperature: number;
}

/**
 * What a checkpoint has beside its weights, so that other programs talk to the model as training did: turns
 * end where they ended, are written as they were, and tokens are drawn from the full softmax. What the model
 * that training started from says of that is about another use, and does not stay.
 *
 * @param model The shape of the policy.
 */
export function checkpointFiles(
  { tokenizer, json, config }: LoadedTokenizer,
  model: ModelConfig,
  { stop, system, temperature }: CheckpointUse,
): ModelFiles {
  const pad = textOfToken(config.pad_token);
  const padding = pad === undefined ? undefined : tokenizer.find(pad);
  return {
    tokenizer: json,
    tokenizerConfig: {
      ...config,
      eos_token: tokenizer.decode(stop.slice(0, 1)),
      chat_template: chatMLTemplate(tokenizer.decode(tokenizer.prefix), system),
    },
    generationConfig: {
      ...(model.bos !== null && { bos_token_id: model.bos }),
      eos_token_id: stop,
      ...(padding !== undefined && { pad_token_id: padding }),
      do_sample: true,
      temperature,
      top_p: 1,
      // All: 0 says so to transformers, but SGLang and older versions of vLLM refuse it, and without it
      // transformers takes 50.
      top_k: model.vocab,
    },
  };
}

/**
 * The shape of the policy: of the config's model folder, of the repository that it is to be downloaded
 * from, or of the small model made here.
 *
 * @throws {UserError} when the folder's config.json is missing or asks for what is not supported, its
 *   tensors or tokens do not fit it, or the repository's shape is not known here.
 */
export function openModelConfig(
  config: Pick<TrainConfig, "model" | "repository" | "shape">,
  tokenizer: Tokenizer,
): ModelConfig {
  const { model, repository, shape } = config;
  if (model !== null) {
    const resolved = resolveModelConfig(model);
    checkTokenRows(tokenizer, resolved.vocab, model);
    return resolved;
  }
  if (repository === null) return tinyModelConfig(shape, tokenizer);
  const known = knownModels[repository];
  if (known) return known;
  throw new UserError(`the shape of ${repository} is not known before it is downloaded`, {
    hint: "name its folder with --model",
  });
}

/** What to lower where a model of a run does not fit. */
const smaller =
  "lower engine.cacheTokens or ppo.packTokens (`thinker plan` shows what takes how much), or " +
  "take a smaller model";

/** The policy before training: loaded, or freshly initialised for a warm start. */
export function openActor(
  stream: Stream,
  config: TrainConfig,
  tokenizer: Tokenizer,
): Decoder {
  const { recompute, weightDtype } = config, weights = weightDtype ?? undefined;
  const options = { head: "lm", train: true, recompute, weights } as const;
  const { model, shape, seed } = config;
  return memoryFor("the policy with its gradients", smaller, () => {
    if (model !== null) return loadDecoder(stream, model, options);
    const actor = new Decoder(stream, tinyModelConfig(shape, tokenizer), options);
    initialise(stream, actor, new Random(seed).fork("actor"));
    return actor;
  });
}

/**
 * The critic: loaded from `dir`, or with the actor's backbone and a fresh value head N(0, 1/(C + 1)).
 */
export function openCritic(
  stream: Stream,
  actor: Decoder,
  options: { seed: number; dir: string | null },
): Decoder {
  const { recompute, weights } = actor;
  const kind = { head: "value", train: true, recompute, weights } as const;
  const { dir } = options, hint = `${smaller}; ppo.estimator "grpo" needs no critic`;
  const open = () =>
    dir === null ? new Decoder(stream, actor.config, kind) : loadDecoder(stream, dir, kind);
  const critic = memoryFor("the critic with its gradients", hint, open);
  if (dir !== null) return critic;
  const source = actor.params, target = critic.params;
  for (const { name, shape, offset } of target.layout.slots.values()) {
    const view = target.master.flat.view(offset, shape);
    const twin = source.layout.slots.get(name);
    if (twin) stream.copy(view, source.master.flat.view(twin.offset, shape));
    else if (name === valueHeadName) {
      const random = new Random(options.seed).fork("critic");
      const scale = 1 / (actor.config.hidden + 1);
      stream.upload(view, Float32Array.from({ length: view.size }, () => scale * normal(random)));
    }
  }
  target.refresh(stream);
  return critic;
}

/** The frozen policy that a KL term refers to: loaded from `dir`, or a copy of the actor as it is now. */
export function openReference(
  stream: Stream,
  actor: Decoder,
  dir: string | null,
): Decoder {
  const kind = { head: "lm", train: false, weights: actor.weights } as const;
  const hint = `${smaller}; with ppo.klCoefficient 0 there is no reference`;
  const open = () =>
    dir === null ? new Decoder(stream, actor.config, kind) : loadDecoder(stream, dir, kind);
  const copy = memoryFor("the reference policy", hint, open);
  if (dir !== null) return copy;
  stream.copy(copy.params.master.flat, actor.params.master.flat);
  copy.params.refresh(stream);
  return copy;
}
