/**
 * What a config.json says of RoPE, in the style of transformers 4 or of 5.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { check, UserError } from "../base/mod.ts";
import type { Llama3Scaling, RopeConfig, RopeScaling, YarnScaling } from "./rope.ts";

/** One `rope_scaling` (older files) or `rope_parameters` (newer ones) object of a config.json. */
export interface RopeSettings {
  /** Base of the frequencies. */
  readonly rope_theta?: number | null;
  /** Which scaling. */
  readonly rope_type?: string | null;
  /** The same, by its older name. */
  readonly type?: string | null;
  /** What the scaling needs. */
  readonly [key: string]: unknown;
}

/** The entries of a config.json that the rotation depends on. */
export interface RopeEntries {
  /** Base of the frequencies, where the settings have none. */
  readonly rope_theta?: number | null;
  /** Settings in older files. */
  readonly rope_scaling?: RopeSettings | null;
  /** Settings in newer files. */
  readonly rope_parameters?: RopeSettings | null;
  /** Positions the model was pretrained on; goes before that of the settings. */
  readonly original_max_position_embeddings?: number | null;
}

const positive = z.number().positive();
const whole = z.literal(1, { error: "only full rotation is supported" }).nullish();
const positions = z.int().positive().nullish();
const common = {
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: positive.nullish(),
  partial_rotary_factor: whole,
};
const factor = z.number().min(1);

/** Strict: a key that is not known may change the computation. */
const schemas = {
  linear: z.strictObject({ ...common, factor }),
  llama3: z.strictObject({
    ...common,
    factor,
    low_freq_factor: positive,
    high_freq_factor: positive,
    original_max_position_embeddings: positions,
  }),
  yarn: z.strictObject({
    ...common,
    factor,
    original_max_position_embeddings: positions,
    attention_factor: positive.nullish(),
    beta_fast: positive.nullish(),
    beta_slow: positive.nullish(),
    mscale: z.number().nonnegative().nullish(),
    mscale_all_dim: z.number().nonnegative().nullish(),
    truncate: z.boolean().optional(),
  }),
};

/** For a scaling that lacks a number, or has a wrong one. */
const incomplete = "compare with the model's published config.json";

/**
 * Reads what a config.json says of RoPE, in the older style or the newer one, with transformers 5's order
 * of precedence: `rope_scaling` where it says anything, else `rope_parameters`; in it `rope_theta`, else
 * the one beside it; the original length beside it before the one in it.
 *
 * @param maxPositions `max_position_embeddings`: what the original length defaults to.
 * @param where The file, for messages.
 * @throws {UserError} for a scaling that is not supported or lacks a number.
 */
export function parseRope(
  raw: RopeEntries,
  maxPositions: number,
  where: string,
): Pick<RopeConfig, "ropeTheta" | "ropeScaling"> {
  const { rope_scaling: older, rope_parameters: newer } = raw;
  const field = older && Object.keys(older).length > 0 ? "rope_scaling" : "rope_parameters";
  const chosen = (field === "rope_scaling" ? older : newer) ?? {};
  const nested = Object.entries(chosen).find(([, value]) => isObject(value));
  if (nested) {
    throw new UserError(`${where}: ${field}: settings for ${nested[0]} alone are not supported`, {
      hint:
        "layers of these architectures share one rotation: give its settings without that level",
    });
  }
  const beside = raw.original_max_position_embeddings;
  const original = beside ? { original_max_position_embeddings: beside } : {};
  const scaled = ["llama3", "yarn"].includes(typeOf(chosen));
  const settings = scaled ? { ...chosen, ...original } : chosen;
  const ropeScaling = parseRopeScaling(settings, maxPositions, `${where}: ${field}`);
  const ropeTheta = chosen.rope_theta ?? raw.rope_theta ?? 10000;
  return { ropeTheta, ...(ropeScaling ? { ropeScaling } : {}) };
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function typeOf({ rope_type, type }: RopeSettings): string {
  return rope_type ?? type ?? "default";
}

/**
 * Reads one `rope_scaling` or `rope_parameters` object.
 *
 * @param value The object; type `default` is plain RoPE.
 * @param maxPositions `max_position_embeddings`: what the original length defaults to.
 * @param where File and field, for messages.
 * @throws {UserError} for a scaling that is not supported or lacks a number.
 */
export function parseRopeScaling(
  value: RopeSettings,
  maxPositions: number,
  where: string,
): RopeScaling | undefined {
  const type = typeOf(value);
  if (type === "default") return undefined;
  if (type === "linear") {
    return { type, factor: check(schemas.linear, value, where, incomplete).factor };
  }
  if (type === "llama3") return parseLlama3(value, maxPositions, where);
  if (type === "yarn") return parseYarn(value, maxPositions, where);
  const hint = type === "dynamic"
    ? `it changes nothing up to max_position_embeddings ${maxPositions}: without it the model runs ` +
      "so far"
    : "supported: default, linear, llama3, yarn";
  throw new UserError(`${where}: RoPE of type ${type} is not supported`, { hint });
}

function parseLlama3(value: unknown, maxPositions: number, where: string): Llama3Scaling {
  const raw = check(schemas.llama3, value, where, incomplete);
  const { factor, low_freq_factor: lowFreqFactor, high_freq_factor: highFreqFactor } = raw;
  if (lowFreqFactor >= highFreqFactor) {
    throw new UserError(
      `${where}: low_freq_factor ${lowFreqFactor} is not below high_freq_factor`,
      { hint: "the file is damaged: get it again" },
    );
  }
  const originalPositions = raw.original_max_position_embeddings ?? maxPositions;
  return { type: "llama3", factor, lowFreqFactor, highFreqFactor, originalPositions };
}

function parseYarn(value: unknown, maxPositions: number, where: string): YarnScaling {
  const raw = check(schemas.yarn, value, where, incomplete);
  const { factor, mscale, mscale_all_dim: allDim } = raw;
  const grown = (scale: number) => 0.1 * scale * Math.log(factor) + 1;
  return {
    type: "yarn",
    factor,
    originalPositions: raw.original_max_position_embeddings ?? maxPositions,
    betaFast: raw.beta_fast ?? 32,
    betaSlow: raw.beta_slow ?? 1,
    attentionFactor: raw.attention_factor ??
      (mscale && allDim ? grown(mscale) / grown(allDim) : grown(1)),
    ...(raw.truncate === false ? { truncate: false } : {}),
  };
}

/** The `rope_scaling` object of a config.json. */
export function toHfRopeScaling(scaling: RopeScaling): Record<string, unknown> {
  switch (scaling.type) {
    case "linear":
      return { rope_type: "linear", factor: scaling.factor };
    case "llama3":
      return {
        rope_type: "llama3",
        factor: scaling.factor,
        low_freq_factor: scaling.lowFreqFactor,
        high_freq_factor: scaling.highFreqFactor,
        original_max_position_embeddings: scaling.originalPositions,
      };
    case "yarn":
      return {
        rope_type: "yarn",
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalPositions,
        attention_factor: scaling.attentionFactor,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        ...(scaling.truncate === false ? { truncate: false } : {}),
      };
  }
}
