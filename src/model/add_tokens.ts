/**
 * Adds control tokens to a model folder: to its tokenizer, and to its embedding where that has no row
 * left for them.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  changeFolder,
  exists,
  lockPlace,
  readJson,
  recoverFolder,
  UserError,
  writeAtomic,
} from "../base/mod.ts";
import { loadModelConfig } from "./config.ts";
import { dtypeBytes, type FloatDtype, fromF32, isFloatDtype, toF32 } from "./dtype.ts";
import {
  openSafetensors,
  type TensorInfo,
  type TensorToWrite,
  writeSafetensors,
} from "./safetensors.ts";
import { Tokenizer } from "./tokenizer.ts";

/** The tokens that ChatML turns are made of, which the stages of the Thinker task need. */
export const chatMLTokens: readonly string[] = ["<|im_start|>", "<|im_end|>"];

/** Names of matrices with one row per token id, with and without what may stand before them. */
const perToken = /(^|\.)(embed_tokens|lm_head)\.weight$/;
/** Bytes copied at a time; a multiple of every element size. */
const pieceBytes = 4 * 2 ** 20;

/** What was done to a model folder. */
export interface AddedTokensReport {
  /** The tokens that were asked for, with their ids; `added` where the tokenizer did not have them. */
  readonly tokens: readonly {
    readonly token: string;
    readonly id: number;
    readonly added: boolean;
  }[];
  /** Rows of the embedding before and after. */
  readonly rows: { readonly before: number; readonly after: number };
}

/**
 * Makes sure that a model folder's tokenizer has these tokens as control tokens. New ones get the next
 * free ids. Rows that an embedding has beyond its tokenizer serve them as they are; only where these do not
 * suffice do embedding and LM head grow, each new row being the mean of the matrix's rows.
 *
 * Calling it again changes nothing. The folder changes all at once or not at all.
 *
 * @throws {UserError} when a file is missing or malformed, or the folder cannot be written.
 */
export async function addTokens(
  dir: string,
  tokens: readonly string[] = chatMLTokens,
): Promise<AddedTokensReport> {
  // Where nothing is to be done, nothing need be writable.
  if (await exists(dir)) {
    const { needed, report } = survey(dir, tokens);
    if (!needed) return report;
  }
  using _lock = await lockPlace(dir, { name: `the model folder ${dir}` });
  await recoverFolder(dir);
  const { needed, report } = survey(dir, tokens), { before, after } = report.rows;
  if (needed) {
    await changeFolder(dir, async (copy) => {
      await changeTokenizer(copy, report.tokens);
      if (after > before) await growEmbeddings(copy, before, after);
    });
  }
  return report;
}

/** What is to be done to a folder, and whether anything is. */
function survey(dir: string, tokens: readonly string[]) {
  const before = loadModelConfig(dir).vocab;
  const tokenizer = Tokenizer.load(dir);
  let next = tokenizer.vocabSize;
  const named = tokens.map((token) => {
    const id = tokenizer.find(token);
    return { token, id: id ?? next++, added: id === undefined };
  });
  const after = Math.max(before, ...named.map(({ id }) => id + 1));
  const isControl = ({ id, added }: { id: number; added: boolean }) =>
    !added && tokenizer.specialIds.has(id);
  const report: AddedTokensReport = { tokens: named, rows: { before, after } };
  return { needed: !named.every(isControl) || after > before, report };
}

/** Writes the tokens into tokenizer.json and, where it lists tokens, into tokenizer_config.json. */
async function changeTokenizer(dir: string, tokens: AddedTokensReport["tokens"]): Promise<void> {
  const flags = {
    lstrip: false,
    normalized: false,
    rstrip: false,
    single_word: false,
    special: true,
  };
  const path = join(dir, "tokenizer.json");
  // Its shape has been checked by Tokenizer.load.
  const tokenizer = readJson(path, "") as { added_tokens?: { content: string }[] };
  const contents = new Set(tokens.map(({ token }) => token));
  const others = (tokenizer.added_tokens ?? []).filter(({ content }) => !contents.has(content));
  const entries = tokens.map(({ token, id }) => ({ id, content: token, ...flags }));
  const added_tokens = [...others, ...entries].sort((a, b) => idOf(a) - idOf(b));
  await writeAtomic(path, JSON.stringify({ ...tokenizer, added_tokens }, null, 2) + "\n");

  const configPath = join(dir, "tokenizer_config.json");
  if (!existsSync(configPath)) return;
  const config = readJson(configPath, "check the model folder") as Record<string, unknown>;
  const { added_tokens_decoder: decoder, additional_special_tokens: special } = config;
  if (typeof decoder === "object" && decoder !== null) {
    const more = tokens.map(({ token, id }) => [`${id}`, { content: token, ...flags }]);
    config.added_tokens_decoder = { ...decoder, ...Object.fromEntries(more) };
  }
  if (Array.isArray(special) && special.every((token) => typeof token === "string")) {
    config.additional_special_tokens = [...new Set([...special, ...contents])];
  }
  await writeAtomic(configPath, JSON.stringify(config, null, 2) + "\n");
}

function idOf(entry: object): number {
  return (entry as { id: number }).id;
}

/** Gives every matrix with a row per token `after` rows, and says so in config.json and the index. */
async function growEmbeddings(dir: string, before: number, after: number): Promise<void> {
  const indexPath = join(dir, "model.safetensors.index.json");
  // As for loading: a single file goes before an index.
  const index = existsSync(indexPath) && !existsSync(join(dir, "model.safetensors"))
    ? readJson(indexPath, "") as { weight_map: Record<string, string>; metadata?: object }
    : undefined;
  const shards = index
    ? new Set(
      Object.keys(index.weight_map).flatMap((name) =>
        perToken.test(name) ? [index.weight_map[name]] : []
      ),
    )
    : new Set(["model.safetensors"]);
  let growth = 0;
  for (const shard of shards) growth += await growShard(join(dir, shard), before, after);
  if (growth === 0) {
    throw new UserError(`${resolve(dir)}: no tensor is an embedding or LM head`, {
      hint: "the weights do not belong to this config.json",
    });
  }
  if (index) {
    const { total_size } = (index.metadata ?? {}) as { total_size?: unknown };
    const metadata = typeof total_size === "number"
      ? { ...index.metadata, total_size: total_size + growth }
      : index.metadata;
    await writeAtomic(indexPath, JSON.stringify({ ...index, metadata }, null, 2) + "\n");
  }
  const configPath = join(dir, "config.json");
  const config = readJson(configPath, "") as Record<string, unknown>;
  await writeAtomic(configPath, JSON.stringify({ ...config, vocab_size: after }, null, 2) + "\n");
}

/** Writes one file anew with more rows; returns by how many bytes it grew. */
async function growShard(path: string, before: number, after: number): Promise<number> {
  using shard = openSafetensors(path);
  const names = shard.names(); // in the order of their data, which has no gaps
  const infos = names.map((name) => shard.info(name));
  const dataBytes = infos.reduce((sum, { bytes }) => sum + bytes, 0);
  let begin = (await Deno.stat(path)).size - dataBytes, growth = 0;
  const tensors: TensorToWrite[] = [];
  for (const [i, name] of names.entries()) {
    const { dtype, shape, bytes } = infos[i], from = begin;
    begin += bytes;
    const old = () => filePieces(path, from, bytes);
    if (!perToken.test(name)) {
      tensors.push({ name, dtype, shape, chunks: old });
      continue;
    }
    checkRows(path, name, infos[i], before);
    const row = meanRow(old(), dtype as FloatDtype, shape[1], before);
    const rows = Array.from({ length: after - before }, () => row);
    const chunks = function* () {
      yield* old();
      yield* rows;
    };
    growth += row.length * rows.length;
    tensors.push({ name, dtype, shape: [after, shape[1]], chunks });
  }
  await writeSafetensors(path, tensors, shard.metadata);
  return growth;
}

function checkRows(path: string, name: string, info: TensorInfo, rows: number): void {
  const { dtype, shape } = info;
  if (shape.length === 2 && shape[0] === rows && isFloatDtype(dtype)) return;
  throw new UserError(`${path}: ${name} is ${dtype} [${shape}], expected ${rows} rows of floats`, {
    hint: "the weights do not belong to this config.json",
  });
}

/** Bytes of a file in pieces; each is valid until the next is asked for. */
function* filePieces(path: string, begin: number, bytes: number): Generator<Uint8Array> {
  using file = Deno.openSync(path);
  file.seekSync(begin, Deno.SeekMode.Start);
  const buffer = new Uint8Array(Math.min(bytes, pieceBytes));
  for (let done = 0; done < bytes;) {
    const piece = buffer.subarray(0, Math.min(buffer.length, bytes - done));
    let filled = 0;
    while (filled < piece.length) {
      const got = file.readSync(piece.subarray(filled));
      if (got === null) throw new UserError(`${path} ends too early`);
      filled += got;
    }
    yield piece;
    done += piece.length;
  }
}

/** The mean of a matrix's rows, summed in float64, in the matrix's own type. */
function meanRow(
  pieces: Iterable<Uint8Array>,
  dtype: FloatDtype,
  columns: number,
  rows: number,
): Uint8Array {
  const sums = new Float64Array(columns);
  let column = 0;
  for (const piece of pieces) {
    const values = new Float32Array(piece.length / dtypeBytes[dtype]);
    toF32(piece, dtype, values);
    for (const value of values) {
      sums[column] += value;
      column = column + 1 === columns ? 0 : column + 1;
    }
  }
  return fromF32(Float32Array.from(sums, (sum) => sum / rows), dtype);
}
