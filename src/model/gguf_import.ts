/**
 * From a GGUF file to a model folder in Hugging Face's layout.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import {
  lockPlace,
  publish,
  removeLeftovers,
  removeTree,
  syncPath,
  temporaryPath,
  UserError,
  writeError,
  writing,
} from "../base/mod.ts";
import { type ModelConfig, parseModelConfig, toHfConfig } from "./config.ts";
import { elementName, firstNonFinite, fromF32 } from "./dtype.ts";
import { type GgufFile, type GgufTensor, openGguf } from "./gguf.ts";
import { dequantise, formatOf, isPlain } from "./gguf_blocks.ts";
import { ggufModelConfig } from "./gguf_config.ts";
import { Metadata } from "./gguf_metadata.ts";
import { ropeFactorsName } from "./gguf_rope.ts";
import { ggufTokenizer } from "./gguf_tokenizer.ts";
import { parameterLayout, type ParameterSlot } from "./parameters.ts";
import { writeSafetensors } from "./safetensors.ts";
import { Tokenizer } from "./tokenizer.ts";

/** Bytes of quantised data that are converted at a time. */
const pieceBytes = 2 ** 20;

/** What an import made. */
export interface GgufImport {
  /** The model, as its new config.json says. */
  readonly config: ModelConfig;
  /** Tensors by the way the file stored them, e.g. `{ Q4_1: 210, F32: 61 }`. */
  readonly formats: Readonly<Record<string, number>>;
}

/**
 * Writes config.json, tokenizer.json, tokenizer_config.json and model.safetensors of the language model
 * in a GGUF file. Matrices in F16 and BF16 stay as they are, quantised ones become float32. The folder
 * appears when it is complete.
 *
 * @param path The GGUF file.
 * @param dir The folder: it must not exist, or be empty.
 * @throws {UserError} when the file is malformed or an element is no finite number, its model, tokenizer or
 *   quantisation is not supported, or the folder is in use or cannot be written.
 */
export async function importGguf(path: string, dir: string): Promise<GgufImport> {
  using file = openGguf(path);
  const parts = new Metadata(file).count("split.count") ?? 1;
  if (parts > 1) {
    throw new UserError(`${path}: is one of ${parts} parts of a model`, {
      hint: "join them with llama.cpp's `llama-gguf-split --merge`",
    });
  }
  // Checked as any other folder's files are, before anything is written.
  const config = parseModelConfig(toHfConfig(ggufModelConfig(file)), path);
  const { tokenizer, tokenizerConfig } = ggufTokenizer(file);
  const { vocabSize } = Tokenizer.fromJson(tokenizer, path, tokenizerConfig);
  if (vocabSize > config.vocab) {
    throw new UserError(`${path}: ${vocabSize} tokens, but ${config.vocab} rows of the embedding`, {
      hint: "the file is damaged: get it again",
    });
  }
  const sources = matchTensors(file, config);
  const out = resolve(dir), temporary = temporaryPath(out);
  await writing(dir, () => Deno.mkdir(dirname(out), { recursive: true }));
  using _lock = await lockPlace(out, { name: `the model folder ${dir}` });
  expectEmpty(dir);
  await removeLeftovers(dirname(out), basename(out)); // of an import that was killed
  const write = async (name: string, content: unknown) => {
    await Deno.writeTextFile(join(temporary, name), JSON.stringify(content, null, 2) + "\n");
    await syncPath(join(temporary, name));
  };
  try {
    await Deno.mkdir(temporary);
    const tensors = sources.map(({ slot, tensor }) => ({
      name: slot.name,
      dtype: isPlain(tensor.type) ? tensor.type : "F32" as const,
      shape: slot.shape,
      chunks: () => convert(file, tensor, interleavedHeads(config, slot)),
    }));
    await writeSafetensors(join(temporary, "model.safetensors"), tensors);
    await write("config.json", toHfConfig(config));
    await write("tokenizer.json", tokenizer);
    await write("tokenizer_config.json", tokenizerConfig);
    await publish(temporary, out);
  } catch (cause) {
    await removeTree(temporary).catch(() => {});
    throw cause instanceof UserError ? cause : writeError(dir, cause);
  }
  const formats: Record<string, number> = {};
  for (const { tensor } of sources) formats[tensor.type] = (formats[tensor.type] ?? 0) + 1;
  return { config, formats };
}

function expectEmpty(dir: string): void {
  let names: string[];
  try {
    names = [...Deno.readDirSync(dir)].map(({ name }) => name);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return;
    throw new UserError(`${dir} is not a folder`, { hint: "name a new folder", cause });
  }
  if (names.length > 0) throw new UserError(`${dir} is not empty`, { hint: "name a new folder" });
}

/** llama.cpp's names of the parts of a layer. */
const layerParts: Readonly<Record<string, string>> = {
  "input_layernorm": "attn_norm",
  "post_attention_layernorm": "ffn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};
const otherParts: Readonly<Record<string, string>> = {
  "model.embed_tokens.weight": "token_embd.weight",
  "model.norm.weight": "output_norm.weight",
  "lm_head.weight": "output.weight",
};

/** llama.cpp's name of a parameter. */
function ggufName(name: string): string {
  const layer = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  return layer ? `blk.${layer[1]}.${layerParts[layer[2]]}.${layer[3]}` : otherParts[name];
}

/** The file's tensor of every parameter; none may be missing, be left over or have another shape. */
function matchTensors(
  file: GgufFile,
  config: ModelConfig,
): { slot: ParameterSlot; tensor: GgufTensor }[] {
  const refuse = (message: string, hint: string): never => {
    throw new UserError(`${file.path}: ${message}`, { hint });
  };
  // A layer takes several tensors: a layer count beyond this is wrong, whatever its layout would be.
  if (config.layers > file.tensors.size) {
    refuse(
      `${config.layers} layers cannot be made of ${file.tensors.size} tensors`,
      "the file is damaged: get it again",
    );
  }
  const left = new Set(file.tensors.keys());
  left.delete(ropeFactorsName); // they are in the config
  const matches = [...parameterLayout(config, "lm").slots.values()].map((slot) => {
    const name = ggufName(slot.name), tensor = file.tensors.get(name);
    if (!tensor) {
      return refuse(`has no tensor ${name}`, "the file is damaged: get it again");
    }
    if (tensor.shape.join() !== slot.shape.join()) {
      refuse(
        `${name} has shape [${tensor.shape}], its metadata asks for [${slot.shape}]`,
        "the file is damaged: get it again",
      );
    }
    left.delete(name);
    return { slot, tensor };
  });
  for (const name of left) {
    refuse(
      `tensor ${name} belongs to no part of a ${config.architecture}`,
      "the model differs from it: take one without that part",
    );
  }
  return matches;
}

/**
 * Head width where llama.cpp reordered the rows: its RoPE of the llama architecture turns neighbours, so
 * the conversion interleaved both halves of every query and key head.
 */
function interleavedHeads(config: ModelConfig, { name }: ParameterSlot): number | undefined {
  const rotated = /\.self_attn\.[qk]_proj\.weight$/.test(name);
  return config.architecture === "LlamaForCausalLM" && rotated ? config.headDim : undefined;
}

/** A tensor's elements as safetensors stores them, piece by piece; `head`: rows are put back in order. */
function* convert(
  file: GgufFile,
  tensor: GgufTensor,
  head: number | undefined,
): Generator<Uint8Array> {
  const { shape: [rows], bytes, type } = tensor;
  const rowBytes = bytes / rows;
  const piece = head ? head * rowBytes : pieceBytes - pieceBytes % formatOf(type).bytes;
  for (let offset = 0; offset < bytes; offset += piece) {
    const part = new Uint8Array(Math.min(piece, bytes - offset));
    file.read(tensor, offset, part);
    const ordered = head ? halves(part, head, rowBytes) : part;
    const values = isPlain(type) ? ordered : fromF32(dequantise(ordered, type), "F32");
    if (firstNonFinite(values, isPlain(type) ? type : "F32")) {
      refuseNumber(file, tensor, part, offset);
    }
    yield values;
  }
}

/** Names the first element of a piece that is no finite number, by its place in the file. */
function refuseNumber(
  { path }: GgufFile,
  { name, shape, bytes, type }: GgufTensor,
  piece: Uint8Array<ArrayBuffer>,
  offset: number,
): never {
  const values = isPlain(type) ? piece : fromF32(dequantise(piece, type), "F32");
  const { index, value } = firstNonFinite(values, isPlain(type) ? type : "F32")!;
  const before = offset / bytes * shape.reduce((a, b) => a * b, 1);
  throw new UserError(`${path}: ${elementName(name, shape, before + index)} is ${value}`, {
    hint: "the file is damaged: get it again",
  });
}

/** Rows 0, 2, 4, … of a head, then rows 1, 3, 5, … */
function halves(bytes: Uint8Array, head: number, rowBytes: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length), half = head / 2;
  for (let row = 0; row < head; row++) {
    const from = row < half ? 2 * row : 2 * (row - half) + 1;
    out.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), row * rowBytes);
  }
  return out;
}
