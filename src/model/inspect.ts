/**
 * What a model folder holds, from its headers alone: no weight is read.
 *
 * @module
 */
import { chatMLTokens } from "./add_tokens.ts";
import { ChatTemplate } from "./chat_template.ts";
import { loadModelConfig, type ModelConfig, paramCount } from "./config.ts";
import { parameterLayout } from "./parameters.ts";
import { loadIndex } from "./safetensors.ts";
import { Tokenizer } from "./tokenizer.ts";

/** What a model folder holds. */
export interface ModelReport {
  /** The shape, as config.json gives it. */
  readonly config: ModelConfig;
  /** Trainable parameters; a tied head counts once. */
  readonly parameters: number;
  /** The weights on disk. */
  readonly tensors: {
    readonly count: number;
    readonly bytes: number;
    /** Number of tensors by element type. */
    readonly dtypes: Readonly<Record<string, number>>;
    /** Parameters that config.json asks for and no file has. */
    readonly missing: readonly string[];
    /** Tensors that no parameter needs. */
    readonly unused: readonly string[];
  };
  /** The tokenizer. */
  readonly tokenizer: {
    /** Largest id + 1. */
    readonly size: number;
    /** Control tokens. */
    readonly special: number;
    /** Ids of the tokens that ChatML turns are made of; null for one that is missing. */
    readonly chatML: Readonly<Record<string, number | null>>;
    /** Control tokens that a sequence begins with. */
    readonly prefix: readonly number[];
  };
  /** `ChatML`, `other`, or `none`. */
  readonly chatTemplate: "ChatML" | "other" | "none";
  /** Memory in bytes. */
  readonly memory: {
    /** Weights at two bytes a parameter, for inference in bfloat16. */
    readonly bfloat16: number;
    /** Weights at four bytes a parameter. */
    readonly float32: number;
    /** Keys and values of one token in bfloat16; twice that in float32. */
    readonly cachePerToken: number;
    /** 18 bytes a parameter: bfloat16 weights, and float32 master weights, gradients, Adam moments. */
    readonly training: number;
  };
}

/** Bytes that a trained parameter takes in mixed precision. */
const trainedParameterBytes = 2 + 4 + 4 + 8;

/**
 * Looks into a model folder.
 *
 * @throws {UserError} when a file is missing or malformed, or the architecture is not supported.
 */
export async function inspectModel(dir: string): Promise<ModelReport> {
  const config = loadModelConfig(dir);
  const tokenizer = Tokenizer.load(dir);
  const template = await ChatTemplate.load(dir);
  using weights = loadIndex(dir);
  const names = weights.names(), infos = names.map((name) => weights.info(name));
  const dtypes: Record<string, number> = {};
  for (const { dtype } of infos) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
  const needed = parameterLayout(config, "lm").slots, present = new Set(names);
  const parameters = paramCount(config);
  return {
    config,
    parameters,
    tensors: {
      count: names.length,
      bytes: infos.reduce((sum, { bytes }) => sum + bytes, 0),
      dtypes,
      missing: [...needed.keys()].filter((name) => !present.has(name)),
      unused: names.filter((name) => !needed.has(name)),
    },
    tokenizer: {
      size: tokenizer.vocabSize,
      special: tokenizer.specialIds.size,
      chatML: Object.fromEntries(chatMLTokens.map((t) => [t, tokenizer.find(t) ?? null])),
      prefix: tokenizer.prefix,
    },
    chatTemplate: template === undefined ? "none" : template.isChatML() ? "ChatML" : "other",
    memory: {
      bfloat16: 2 * parameters,
      float32: 4 * parameters,
      cachePerToken: 2 * 2 * config.layers * config.kvHeads * config.headDim,
      training: trainedParameterBytes * parameters,
    },
  };
}
