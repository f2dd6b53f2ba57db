/**
 * The weights of a model folder under the names and with the head that a decoder asks for, matched as
 * transformers 5 matches them, and everything about them that would make a silent difference.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import { loadModelConfig, type ModelConfig } from "./config.ts";
import {
  dtypeBytes,
  elementName,
  firstNonFinite,
  type FloatDtype,
  isFloatDtype,
  toF32,
} from "./dtype.ts";
import {
  embeddingName,
  type HeadKind,
  lmHeadName,
  parameterLayout,
  type ParameterSlot,
  valueHeadName,
} from "./parameters.ts";
import { missingTensor, type OnChunk, type TensorInfo, type TensorSource } from "./safetensors.ts";
import { hasWeights, loadIndex } from "./shards.ts";

/** Left out without a word: older files carry the frequencies that config.json gives anyway. */
const recomputed = /(^|\.)rotary_emb\.inv_freq$/;

/** The tensors of a folder by the names of parameters. */
export class FolderWeights implements TensorSource {
  /** The folder's config; its head is tied only where the tensors say so too. */
  readonly config: ModelConfig;
  /** Parameters that no tensor holds, but for a value head, which may be new. */
  readonly missing: readonly string[];
  /** Tensors that are no parameter, by their own names. */
  readonly unused: readonly string[];
  readonly #dir: string;
  readonly #slots: ReadonlyMap<string, ParameterSlot>;
  readonly #source: TensorSource;
  /** From the names of parameters to those in the files. */
  readonly #names: Map<string, string>;

  /** Use {@linkcode openWeights}. */
  constructor(dir: string, stored: ModelConfig, head: HeadKind, source: TensorSource) {
    this.#dir = dir;
    this.#source = source;
    const { slots } = parameterLayout({ ...stored, tiedHead: false }, "lm");
    this.#names = matchNames(source.names(), new Set([...slots.keys(), valueHeadName]), dir);
    const tiedHead = stored.tiedHead && (head === "value" || this.#headIsEmbedding());
    this.config = { ...stored, tiedHead };
    this.#slots = parameterLayout(this.config, head).slots;
    const isOptional = (name: string) => name === valueHeadName;
    this.missing = [...this.#slots.keys()].filter((name) =>
      !this.#names.has(name) && !isOptional(name)
    );
    // A critic starts from a policy, whose head it does not need; a tied head is the embedding.
    const spare = head === "value" || tiedHead ? [lmHeadName] : [];
    const used = new Set([...this.#slots.keys(), ...spare].map((name) => this.#names.get(name)));
    this.unused = source.names().filter((name) => !used.has(name) && !recomputed.test(name));
  }

  /** Names of the parameters that are there. */
  names(): string[] {
    return [...this.#slots.keys()].filter((name) => this.#names.has(name));
  }

  /** Type, shape and size of a parameter's tensor; see {@linkcode TensorSource.info}. */
  info(name: string): TensorInfo {
    return this.#source.info(this.#nameOf(name));
  }

  /**
   * Stream a parameter's bytes in order; see {@linkcode TensorSource.read}.
   *
   * @throws {UserError} also at the first element that is no finite number.
   */
  read(name: string, onChunk: OnChunk, part?: readonly [number, number]): void {
    const stored = this.#nameOf(name), { dtype, shape } = this.#source.info(stored);
    this.#source.read(stored, (bytes, offset) => {
      if (isFloatDtype(dtype)) this.#checkFinite(stored, shape, dtype, bytes, offset);
      onChunk(bytes, offset);
    }, part);
  }

  /** What lies in the files, whether it is of use or not. */
  stored(): { count: number; bytes: number; dtypes: Record<string, number> } {
    const infos = this.#source.names().map((name) => this.#source.info(name));
    const dtypes: Record<string, number> = {};
    for (const { dtype } of infos) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
    return { count: infos.length, bytes: infos.reduce((sum, { bytes }) => sum + bytes, 0), dtypes };
  }

  /**
   * Checks that every parameter has its tensor, in a type and shape that fit, and every tensor a use. Only
   * headers are read.
   *
   * @throws {UserError} naming the first that does not fit.
   */
  check(): void {
    const { missing, unused } = this,
      rest = (names: readonly string[]) => names.length > 1 ? ` and ${names.length - 1} more` : "";
    if (missing.length > 0) {
      throw new UserError(`${this.#dir} has no tensor ${missing[0]}${rest(missing)}`, {
        hint: missing[0] === lmHeadName
          ? "a model without its LM head: save it from AutoModelForCausalLM, or set " +
            "tie_word_embeddings if the head is the embedding"
          : "the weights do not belong to this config.json, or a file is missing",
      });
    }
    if (unused.length > 0) {
      throw new UserError(
        `${this.#dir}: config.json has no use for tensor ${unused[0]}${rest(unused)}`,
        { hint: hintOfUnused(unused[0]) },
      );
    }
    for (const name of this.names()) {
      checkTensor(this.info(name), this.#slots.get(name)!, this.#dir);
    }
  }

  /**
   * Reads every parameter once.
   *
   * @throws {UserError} naming the first element that is no finite number.
   */
  checkFinite(): void {
    for (const name of this.names()) this.read(name, () => {});
  }

  /** Closes the files. */
  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }

  #nameOf(name: string): string {
    return this.#names.get(name) ?? missingTensor(this.#dir, name);
  }

  /**
   * Whether a head that config.json ties is the embedding. Of the two, one stands for both where the other
   * is not stored; where both are, the head is the embedding only if its values are.
   */
  #headIsEmbedding(): boolean {
    const embedding = this.#names.get(embeddingName), head = this.#names.get(lmHeadName);
    if (head === undefined) return true;
    if (embedding === undefined) {
      this.#names.set(embeddingName, head);
      return true;
    }
    using again = loadIndex(this.#dir); // its own buffer, to read two tensors side by side
    return sameValues(this.#source, embedding, again, head);
  }

  #checkFinite(
    name: string,
    shape: readonly number[],
    dtype: FloatDtype,
    bytes: Uint8Array,
    offset: number,
  ): void {
    const found = firstNonFinite(bytes, dtype);
    if (found === undefined) return;
    const place = elementName(name, shape, offset / dtypeBytes[dtype] + found.index);
    throw new UserError(`${this.#dir}: ${place} is ${found.value}`, {
      hint: "the weights are damaged: get them again, or use an earlier checkpoint",
    });
  }
}

/**
 * Opens the weights of a model folder.
 *
 * @param stored The folder's own config.
 * @throws {UserError} when the files are missing or malformed.
 */
export function openWeights(dir: string, stored: ModelConfig, head: HeadKind): FolderWeights {
  const source = loadIndex(dir);
  try {
    return new FolderWeights(dir, stored, head, source);
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

/**
 * The config of a folder's language model, its head tied only where the tensors say so too; without weights,
 * as config.json has it.
 *
 * @throws {UserError} when a file is malformed or does not fit the others.
 */
export function resolveModelConfig(dir: string): ModelConfig {
  const stored = loadModelConfig(dir);
  if (!hasWeights(dir)) return stored;
  using weights = openWeights(dir, stored, "lm");
  weights.check();
  return weights.config;
}

/**
 * Finds the parameters among the names of a file, which may have one `model.` too many or, saved from a
 * model without a head, one too few.
 */
function matchNames(
  stored: readonly string[],
  parameters: ReadonlySet<string>,
  dir: string,
): Map<string, string> {
  const names = new Map<string, string>();
  for (const name of stored) {
    const candidates = [name.replace(/^model\./, ""), `model.${name}`, name];
    const parameter = candidates.find((candidate) => parameters.has(candidate));
    if (parameter === undefined) continue;
    const other = names.get(parameter);
    if (other !== undefined) {
      throw new UserError(`${dir}: ${other} and ${name} are the same parameter`, {
        hint: "files of two models lie in the folder: get it again",
      });
    }
    names.set(parameter, name);
  }
  return names;
}

/** What helps against a tensor that is no parameter. */
function hintOfUnused(name: string): string {
  if (name === valueHeadName) return "it is a critic: name the folder of its policy";
  if (name.endsWith(".bias")) return "a decoder with such a bias is not supported";
  return "if the model works without it, transformers leaves it out: " +
    "AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW)";
}

function checkTensor({ dtype, shape }: TensorInfo, slot: ParameterSlot, dir: string): void {
  if (!isFloatDtype(dtype)) {
    throw new UserError(`${dir}: ${slot.name} has dtype ${dtype}, expected F32, F16 or BF16`, {
      hint: "get the model in one of these, or convert it: " +
        "from_pretrained(DIR, dtype=torch.bfloat16) in transformers",
    });
  }
  if (shape.join() !== slot.shape.join()) {
    throw new UserError(
      `${dir}: ${slot.name} has shape [${shape}], config.json asks for [${slot.shape}]`,
      { hint: "the weights do not belong to this config.json" },
    );
  }
}

/** Whether two tensors of sources that can be read side by side are equal as numbers. */
function sameValues(a: TensorSource, nameA: string, b: TensorSource, nameB: string): boolean {
  const [left, right] = [a.info(nameA), b.info(nameB)];
  const { dtype } = left, other = right.dtype;
  if (left.shape.join() !== right.shape.join()) return false;
  if (!isFloatDtype(dtype) || !isFloatDtype(other)) return dtype === other;
  const numbers = (bytes: Uint8Array, type: FloatDtype) => {
    const values = new Float32Array(bytes.length / dtypeBytes[type]);
    toF32(bytes, type, values);
    return values;
  };
  const scale = dtypeBytes[other] / dtypeBytes[dtype];
  let same = true;
  a.read(nameA, (bytes, offset) => {
    if (!same) return;
    const values = numbers(bytes, dtype);
    let done = 0;
    b.read(nameB, (piece) => {
      for (const value of numbers(piece, other)) same &&= value === values[done++];
    }, [offset * scale, (offset + bytes.length) * scale]);
  });
  return same;
}
