/**
 * The weights of a model folder as one source of tensors: one file, or the shards that an index lists.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { isAbsolute, join, normalize } from "node:path";
import * as z from "npm:zod@4.6.7";
import { check, readJson, UserError } from "../base/mod.ts";
import {
  missingTensor,
  type OnChunk,
  openSafetensors,
  type SafetensorsFile,
  type TensorInfo,
  type TensorSource,
} from "./safetensors.ts";

const single = "model.safetensors", index = "model.safetensors.index.json";

/** Files that hold weights in other formats, and what helps. */
const foreign: readonly { readonly name: RegExp; readonly hint: string }[] = [
  {
    name: /^pytorch_model.*\.bin(\.index\.json)?$/,
    hint: "write it as safetensors, in Python: " +
      "AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW)",
  },
  {
    name: /^adapter_model\./,
    hint:
      "the folder holds a LoRA adapter: merge it into its model first (merge_and_unload in peft)",
  },
  { name: /\.gguf$/, hint: "make a model folder of it with `thinker model import FILE NEW`" },
  {
    name: /^consolidated.*\.(safetensors|pth)$/,
    hint: "it is in its makers' own format: get the version for transformers",
  },
  { name: /^model-\d+-of-\d+\.safetensors$/, hint: `get ${index}, which lists the shards` },
  { name: /\.safetensors$/, hint: `if it is the whole model, call it ${single}` },
  { name: /\.(h5|msgpack|onnx|ckpt|pth?)$/, hint: "get the version with safetensors" },
];

/**
 * Whether a folder holds weights.
 *
 * @throws {UserError} where they are of another format.
 */
export function hasWeights(dir: string): boolean {
  if ([single, index].some((name) => existsSync(join(dir, name)))) return true;
  const names = existsSync(dir) ? [...Deno.readDirSync(dir)].map(({ name }) => name).sort() : [];
  for (const { name: pattern, hint } of foreign) {
    const name = names.find((name) => pattern.test(name));
    if (name) {
      throw new UserError(`${dir} holds ${name}, but neither ${single} nor its index`, { hint });
    }
  }
  return false;
}

/**
 * Open the weights of a model folder: `model.safetensors`, or without it the shards that
 * `model.safetensors.index.json` lists, with all that is in them.
 *
 * @throws {UserError} When the folder holds neither, a shard is malformed, lies outside the folder or
 *   lacks a tensor that the index promises, or two have a tensor of the same name.
 */
export function loadIndex(dir: string): TensorSource {
  if (!isSharded(dir)) return openSafetensors(join(dir, single));
  const indexPath = join(dir, index), weight_map = readIndex(indexPath);
  using opened = new DisposableStack();
  const shards = new Map<string, SafetensorsFile>(), owner = new Map<string, SafetensorsFile>();
  for (const file of new Set(Object.values(weight_map))) {
    const inside = normalize(file);
    if (isAbsolute(inside) || inside.split(/[/\\]/)[0] === "..") {
      throw new UserError(`${indexPath}: shard ${JSON.stringify(file)} is outside the folder`, {
        hint: "all shards must lie beside the index",
      });
    }
    const shard = shards.get(inside) ?? opened.use(openSafetensors(join(dir, inside)));
    shards.set(inside, shard);
  }
  for (const shard of shards.values()) {
    for (const name of shard.names()) {
      const other = owner.get(name);
      if (other) {
        throw new UserError(`${shard.path} and ${other.path} both have a tensor ${name}`, {
          hint: "files of two models lie in the folder: get it again",
        });
      }
      owner.set(name, shard);
    }
  }
  for (const [name, file] of Object.entries(weight_map)) shards.get(normalize(file))!.info(name);
  return new Shards(indexPath, owner, opened.move());
}

/**
 * The names of the files that hold a folder's weights, sorted, an index among them.
 *
 * @throws {UserError} when the index is malformed, or weights are of another format.
 */
export function weightFiles(dir: string): string[] {
  if (!isSharded(dir)) return [single];
  const shards = Object.values(readIndex(join(dir, index)));
  return [...new Set([index, ...shards.map((file) => normalize(file))])].sort();
}

function isSharded(dir: string): boolean {
  return hasWeights(dir) && !existsSync(join(dir, single));
}

/** Which shard holds which tensor. */
function readIndex(path: string): Record<string, string> {
  const hint = "check the model folder";
  return check(indexSchema, readJson(path, hint), path, hint).weight_map;
}

const indexSchema = z.looseObject({
  weight_map: z.record(z.string(), z.string()).refine((map) => Object.keys(map).length > 0, {
    error: "names no tensor",
  }),
});

/** The tensors of several files under one roof. */
class Shards implements TensorSource {
  readonly #path: string;
  readonly #owner: Map<string, SafetensorsFile>;
  readonly #opened: Disposable;

  constructor(path: string, owner: Map<string, SafetensorsFile>, opened: Disposable) {
    this.#path = path;
    this.#owner = owner;
    this.#opened = opened;
  }

  names(): string[] {
    return [...this.#owner.keys()];
  }

  info(name: string): TensorInfo {
    return this.#find(name).info(name);
  }

  read(name: string, onChunk: OnChunk, part?: readonly [number, number]): void {
    this.#find(name).read(name, onChunk, part);
  }

  [Symbol.dispose](): void {
    this.#opened[Symbol.dispose]();
  }

  #find(name: string): SafetensorsFile {
    return this.#owner.get(name) ?? missingTensor(this.#path, name);
  }
}
