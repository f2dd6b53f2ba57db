/**
 * What a model folder holds, whether it can be loaded, and what training will not like about it.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import { chatMLTokens } from "./add_tokens.ts";
import { ChatTemplate } from "./chat_template.ts";
import { loadModelConfig, type ModelConfig, paramCount } from "./config.ts";
import { checkTokenRows } from "./token_rows.ts";
import { Tokenizer } from "./tokenizer.ts";
import { type FolderWeights, openWeights } from "./weights.ts";

/** What a model folder holds. */
export interface ModelReport {
  /** The shape, as config.json gives it; its head is tied only where the tensors say so too. */
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
    readonly prefix: readonly NamedToken[];
    /** Tokens that end a generation, besides a turn's end. */
    readonly stop: readonly NamedToken[];
  };
  /** `ChatML`, `other`, `none`, or `unreadable`: training reads none. */
  readonly chatTemplate: "ChatML" | "other" | "none" | "unreadable";
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
  /** Why the folder will not be loaded, in the words of the refusals; empty where it will. */
  readonly refusals: readonly Refusal[];
  /** What works, but not as one may think, and what training will not like. */
  readonly warnings: readonly string[];
}

/** Why a folder will not be loaded. */
export interface Refusal {
  /** What is wrong, and where. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** A token and its id. */
export interface NamedToken {
  /** Its id. */
  readonly id: number;
  /** As tokenizer.json spells it; empty where it has no such id. */
  readonly token: string;
}

/** Bytes that a trained parameter takes in mixed precision. */
const trainedParameterBytes = 2 + 4 + 4 + 8;

/**
 * Looks into a model folder. The weights are read once, for numbers that are none.
 *
 * @throws {UserError} when a file is missing or malformed, or the architecture is not supported.
 */
export async function inspectModel(dir: string): Promise<ModelReport> {
  const stored = loadModelConfig(dir);
  const tokenizer = Tokenizer.load(dir);
  const template = await readTemplate(dir);
  using weights = openWeights(dir, stored, "lm");
  const { config, missing, unused } = weights;
  const parameters = paramCount(config);
  const named = (ids: readonly number[]) =>
    ids.map((id) => ({ id, token: tokenizer.decode([id]) }));
  const about: Omit<ModelReport, "warnings"> = {
    config,
    parameters,
    tensors: { ...weights.stored(), missing, unused },
    tokenizer: {
      size: tokenizer.vocabSize,
      special: tokenizer.specialIds.size,
      chatML: Object.fromEntries(chatMLTokens.map((t) => [t, tokenizer.find(t) ?? null])),
      prefix: named(tokenizer.prefix),
      stop: named(config.eos),
    },
    chatTemplate: template.kind,
    memory: {
      bfloat16: 2 * parameters,
      float32: 4 * parameters,
      cachePerToken: 2 * 2 * config.layers * config.kvHeads * config.headDim,
      training: trainedParameterBytes * parameters,
    },
    refusals: refusals(weights, tokenizer, dir),
  };
  const untied = stored.tiedHead && !config.tiedHead
    ? ["config.json ties the LM head to the embedding, but the file has another: that one is used"]
    : [];
  const warnings = [...untied, ...trainingWarnings(about, tokenizer), ...template.warnings];
  return { ...about, warnings };
}

/** What a folder's chat template is. Nothing here goes by it, so a bad one is no reason to refuse the folder. */
async function readTemplate(
  dir: string,
): Promise<{ kind: ModelReport["chatTemplate"]; warnings: string[] }> {
  try {
    const template = await ChatTemplate.load(dir);
    if (template === undefined) return { kind: "none", warnings: [] };
    return { kind: template.isChatML() ? "ChatML" : "other", warnings: [] };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { kind: "unreadable", warnings: [`${error.message}; training does without it`] };
  }
}

/** What loading would refuse, each check's first. */
function refusals(weights: FolderWeights, tokenizer: Tokenizer, dir: string): Refusal[] {
  const checks = [
    () => weights.check(),
    () => weights.checkFinite(),
    () => checkTokenRows(tokenizer, weights.config.vocab, dir),
  ];
  return checks.flatMap((check) => {
    try {
      check();
      return [];
    } catch (error) {
      if (error instanceof UserError) return [{ message: error.message, hint: error.hint }];
      throw error;
    }
  });
}

/** What training will not like about a model that can be loaded. */
function trainingWarnings(
  { config, tokenizer: { chatML, stop }, chatTemplate }: Omit<ModelReport, "warnings">,
  tokenizer: Tokenizer,
): string[] {
  const warnings: string[] = [];
  const lacks = chatMLTokens.filter((token) => chatML[token] === null);
  const plain = chatMLTokens.filter((token) => {
    const id = chatML[token];
    return id !== null && !tokenizer.specialIds.has(id);
  });
  const add = "`thinker model add-tokens` makes it so";
  if (lacks.length > 0) {
    warnings.push(`training needs ${lacks.join(" and ")}, which the tokenizer lacks: ${add}`);
  }
  if (plain.length > 0) {
    warnings.push(`${plain.join(" and ")} must be a control token of the tokenizer: ${add}`);
  }
  if (chatTemplate === "other") {
    warnings.push("the chat template's turns are not the ChatML turns that training uses");
  }
  const beyond = stop.filter(({ id }) => id >= config.vocab);
  if (beyond.length > 0) {
    const ids = beyond.map(({ id }) => id).join(", ");
    warnings.push(`stop id ${ids} lies beyond the embedding's ${config.vocab} rows: never sampled`);
  }
  return warnings;
}
