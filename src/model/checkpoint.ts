/**
 * Models on disk, exactly as Hugging Face writes them: config.json, tokenizer.json, safetensors.
 *
 * @module
 */
import { cast, type Stream, type Tensor } from "../../ffi/mod.ts";
import { loadModelConfig, type ModelConfig, toHfConfig } from "./config.ts";
import { Decoder, type DecoderOptions } from "./decoder.ts";
import { dtypeBytes, type FloatDtype, fromF32, toF32 } from "./dtype.ts";
import { valueHeadName } from "./parameters.ts";
import { stagingBytes, type TensorSource, writeSafetensors } from "./safetensors.ts";
import { openWeights } from "./weights.ts";

/** Elements downloaded at a time when weights are saved. */
const saveChunk = 1 << 20;

/** Files of a model folder that are carried along unread. */
export interface TokenizerFiles {
  /** Content of tokenizer.json. */
  readonly tokenizer: unknown;
  /** Content of tokenizer_config.json: chat template and names of special tokens. */
  readonly tokenizerConfig?: unknown;
  /** Content of chat_template.jinja, where the template is a file of its own. */
  readonly chatTemplate?: string;
}

/**
 * Loads a model folder into a new decoder. A value head that the folder does not hold starts at zero.
 *
 * @throws {UserError} when a file is missing or malformed, a tensor has no place or another shape, or an
 *   element is no finite number.
 */
export function loadDecoder(
  stream: Stream,
  dir: string,
  options: DecoderOptions,
): Decoder {
  using weights = openWeights(dir, loadModelConfig(dir), options.head);
  // Before memory is taken and work enqueued, so that nothing has to be undone.
  weights.check();
  // A model that is trained keeps float32 on disk too: a resumed run must find the very same bits.
  const config: ModelConfig = options.train
    ? { ...weights.config, dtype: "float32" }
    : weights.config;
  const decoder = new Decoder(stream, config, options);
  try {
    loadParameters(stream, decoder, weights);
    decoder.params.refresh(stream);
  } catch (error) {
    decoder[Symbol.dispose]();
    throw error;
  }
  return decoder;
}

/** @internal Fills a decoder's master parameters; the packed copies are as before until `refresh`. */
export function loadParameters(stream: Stream, decoder: Decoder, weights: TensorSource): void {
  const { layout, master } = decoder.params;
  using staging = stream.device.alloc("bf16", [stagingBytes / 2]);
  const stored = new Set(weights.names());
  for (const slot of layout.slots.values()) {
    const target = master.flat.view(slot.offset, slot.shape);
    // Only a value head may be new.
    if (slot.name === valueHeadName && !stored.has(slot.name)) stream.fill(target, 0);
    else loadTensor(stream, weights, slot.name, target, staging.tensor);
  }
}

/**
 * Streams a tensor into place, through `staging` where the device converts it. Pieces are whole: what the
 * source hands out fits the staging tensor.
 */
function loadTensor(
  stream: Stream,
  weights: TensorSource,
  name: string,
  target: Tensor,
  staging: Tensor,
): void {
  const dtype = weights.info(name).dtype as FloatDtype; // the folder has been checked
  let done = 0;
  weights.read(name, (bytes) => {
    const count = bytes.length / dtypeBytes[dtype];
    const dst = target.view(done, [count]);
    if (dtype === "F32") stream.upload(dst, bytes);
    else if (dtype === "BF16") {
      const src = staging.view(0, [count]);
      stream.upload(src, bytes);
      cast(stream, { dst, src });
    } else {
      const values = new Float32Array(count);
      toF32(bytes, dtype, values);
      stream.upload(dst, values);
    }
    done += count;
  });
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

/** Writes the decoder's master weights and its config and tokenizer into an existing folder. */
export async function saveDecoder(
  stream: Stream,
  decoder: Decoder,
  dir: string,
  files: TokenizerFiles,
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
  const write = (name: string, content: unknown) =>
    Deno.writeTextFile(`${dir}/${name}`, JSON.stringify(content, null, 2) + "\n");
  await write("config.json", toHfConfig(decoder.config));
  await write("tokenizer.json", files.tokenizer);
  if (files.tokenizerConfig) await write("tokenizer_config.json", files.tokenizerConfig);
  if (files.chatTemplate !== undefined) {
    await Deno.writeTextFile(`${dir}/chat_template.jinja`, files.chatTemplate);
  }
}
