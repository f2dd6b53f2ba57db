/**
 * Loading a model folder as Hugging Face writes it: config.json and safetensors into a decoder.
 *
 * @module
 */
import { cast, type Stream, type Tensor } from "../../ffi/mod.ts";
import { loadModelConfig, type ModelConfig } from "./config.ts";
import { Decoder, type DecoderOptions } from "./decoder.ts";
import { dtypeBytes, type FloatDtype, toF32 } from "./dtype.ts";
import { valueHeadName } from "./parameters.ts";
import { stagingBytes, type TensorSource } from "./safetensors.ts";
import { openWeights } from "./weights.ts";

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
