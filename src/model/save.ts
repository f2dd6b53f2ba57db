/**
 * Saving a model folder as Hugging Face writes it, so that other programs load it as it is.
 *
 * @module
 */
import type { Stream, Tensor } from "../../ffi/mod.ts";
import { type ModelConfig, toHfConfig } from "./config.ts";
import type { Decoder } from "./decoder.ts";
import { type FloatDtype, fromF32 } from "./dtype.ts";
import { writeSafetensors } from "./safetensors.ts";

/** Elements downloaded at a time when weights are saved. */
const saveChunk = 1 << 20;

/** What stands beside config.json and weights; a file that is left out is not written. */
export interface ModelFiles {
  /** Content of tokenizer.json. */
  readonly tokenizer?: unknown;
  /** Content of tokenizer_config.json: chat template and names of special tokens. */
  readonly tokenizerConfig?: unknown;
  /** How text is generated; its `eos_token_id` is config.json's too. */
  readonly generationConfig?: GenerationConfig;
}

/** Content of generation_config.json: what transformers, vLLM and SGLang do unless they are told otherwise. */
export interface GenerationConfig {
  /** Ids that end a generation. */
  readonly eos_token_id: readonly number[];
  /** Further settings, as transformers names them. */
  readonly [key: string]: unknown;
}

/** A float32 tensor's elements in pieces, converted to a storage dtype. */
export async function* float32Chunks(
  stream: Stream,
  tensor: Tensor,
  dtype: FloatDtype,
): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < tensor.size; done += saveChunk) {
    const part = tensor.view(done, [Math.min(saveChunk, tensor.size - done)]);
    yield fromF32(await stream.download(part, new Float32Array(part.size)), dtype);
  }
}

/** The dtype that `saveDecoder` writes for a config. */
function storageDtype(config: ModelConfig): "F32" | "F16" | "BF16" {
  return ({ float32: "F32", float16: "F16", bfloat16: "BF16" } as const)[config.dtype];
}

/** Writes the decoder's master weights, its config and the files beside them into an existing folder. */
export async function saveDecoder(
  stream: Stream,
  decoder: Decoder,
  dir: string,
  files: ModelFiles = {},
): Promise<void> {
  const { layout, master } = decoder.params;
  const dtype = storageDtype(decoder.config);
  const tensors = [...layout.slots.values()].map(({ name, shape, offset }) => ({
    name,
    dtype,
    shape,
    chunks: () => float32Chunks(stream, master.flat.view(offset, shape), dtype),
  }));
  await writeSafetensors(`${dir}/model.safetensors`, tensors);
  const { tokenizer, tokenizerConfig, generationConfig } = files;
  const eos = generationConfig?.eos_token_id ?? decoder.config.eos;
  const contents = {
    "config.json": toHfConfig({ ...decoder.config, eos }),
    "generation_config.json": generationConfig,
    "tokenizer.json": tokenizer,
    "tokenizer_config.json": tokenizerConfig,
  };
  for (const [name, content] of Object.entries(contents)) {
    if (content === undefined) continue;
    await Deno.writeTextFile(`${dir}/${name}`, JSON.stringify(content, null, 2) + "\n");
  }
}
