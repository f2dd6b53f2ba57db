/**
 * A model folder, opened and ready: device, weights and tokenizer in one object.
 *
 * @module
 */
import {
  type DeviceChoice,
  type DeviceOptions,
  openDevice,
  type Precision,
  type Stream,
} from "../../ffi/mod.ts";
import { memoryFor } from "../base/mod.ts";
import { loadDecoder } from "./checkpoint.ts";
import { loadModelConfig } from "./config.ts";
import type { Decoder } from "./decoder.ts";
import { checkTokenRows } from "./token_rows.ts";
import { Tokenizer } from "./tokenizer.ts";
import { readTrained, type Trained } from "./trained.ts";
import { checkWhole } from "./whole.ts";

/** How to open a model folder. */
export interface LoadOptions extends DeviceOptions {
  /** Where to compute; default: cpu. */
  readonly backend?: DeviceChoice;
  /** Told why `auto` took the CPU. */
  readonly onNote?: (text: string) => void;
  /** What the matrix products read; default: as in training, else the type of the device's activations. */
  readonly weights?: Precision;
}

/** A loaded language model. Dispose it to free its memory. */
export class Model implements Disposable {
  /** Called by `loadModel`. */
  constructor(
    /** The queue that loaded the weights; they lie on its device. */
    readonly stream: Stream,
    /** Weights and layer graph. */
    readonly decoder: Decoder,
    /** Text to token ids and back. */
    readonly tokenizer: Tokenizer,
    /** How it was trained here; undefined for a model from elsewhere. */
    readonly trained?: Trained,
  ) {}

  /** Frees the weights and closes the device; dispose engines of the model first. */
  [Symbol.dispose](): void {
    this.decoder[Symbol.dispose]();
    this.stream[Symbol.dispose]();
    this.stream.device[Symbol.dispose]();
  }
}

/**
 * Loads a Hugging Face model folder for inference. The kernels are built first if this machine has
 * not built them yet.
 *
 * @throws {UserError} when files are missing, malformed, damaged or do not go together, or the kernels
 *   cannot be built.
 */
export async function loadModel(dir: string, options: LoadOptions = {}): Promise<Model> {
  await checkWhole(dir);
  const tokenizer = Tokenizer.load(dir);
  checkTokenRows(tokenizer, loadModelConfig(dir).vocab, dir);
  const trained = readTrained(dir);
  using stack = new DisposableStack();
  const device = stack.use(await openDevice(options.backend ?? "cpu", options));
  const stream = stack.use(device.stream());
  const weights = options.weights ?? trained?.weightDtype;
  const load = () => loadDecoder(stream, dir, { head: "lm", train: false, weights });
  const hint = "take a smaller model, or bf16 as the type of its weights";
  const decoder = stack.use(memoryFor(`the model in ${dir}`, hint, load));
  await stream.sync();
  stack.move();
  return new Model(stream, decoder, tokenizer, trained);
}
