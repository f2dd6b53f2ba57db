/**
 * Telling weights apart without reading all of them.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { refuseSpecial, UserError } from "../base/mod.ts";

/** Bytes that are read at each place, and places per file. */
const pieceBytes = 64 * 1024, pieces = 64;

/**
 * A digest of a model folder's weights: names, sizes, and samples spread over each file. Training moves
 * every weight, so two models that differ do so in the samples too; reading gigabytes would only take
 * longer.
 *
 * @returns 16 hex digits.
 * @throws {UserError} when the folder has no weights.
 */
export function weightsFingerprint(dir: string): string {
  const hash = createHash("sha256");
  const names = weightFiles(dir);
  if (names.length === 0) {
    throw new UserError(`${dir} holds no model`, {
      hint: "name a folder with config.json, tokenizer.json and *.safetensors with --model",
    });
  }
  const buffer = new Uint8Array(pieceBytes);
  for (const name of names) {
    refuseSpecial(join(dir, name));
    using file = Deno.openSync(join(dir, name));
    const { size } = file.statSync();
    hash.update(`${name}\n${size}\n`);
    const last = Math.max(0, size - pieceBytes);
    for (let i = 0; i < pieces; i++) {
      file.seekSync(Math.floor(last * i / (pieces - 1)), Deno.SeekMode.Start);
      const read = file.readSync(buffer) ?? 0;
      hash.update(buffer.subarray(0, read));
    }
  }
  return hash.digest("hex").slice(0, 16);
}

/** Names of a folder's weight files, sorted; none where there is no folder. */
function weightFiles(dir: string): string[] {
  try {
    return [...Deno.readDirSync(dir)].map((entry) => entry.name)
      .filter((name) => name.endsWith(".safetensors")).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return [];
    }
    throw error;
  }
}
