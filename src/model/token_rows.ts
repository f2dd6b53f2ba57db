/**
 * Whether a tokenizer and an embedding go together.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import { chatMLTokens } from "./add_tokens.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Checks that every token which a prompt can hold has a row in the embedding. Control tokens that are no
 * part of a turn, such as a padding token that was added without a row, may lie beyond: no text becomes one.
 *
 * @param rows Rows of the embedding.
 * @param dir The model folder, for messages.
 * @throws {UserError} naming the first token without a row.
 */
export function checkTokenRows(
  tokenizer: Pick<Tokenizer, "vocabSize" | "specialIds" | "prefix" | "find" | "decode">,
  rows: number,
  dir: string,
): void {
  const turns = chatMLTokens.map((token) => tokenizer.find(token));
  const asked = new Set([...tokenizer.prefix, ...turns]);
  const without: number[] = [];
  for (let id = rows; id < tokenizer.vocabSize; id++) {
    const isText = !tokenizer.specialIds.has(id) && tokenizer.decode([id]) !== "";
    if (isText || asked.has(id)) without.push(id);
  }
  if (without.length === 0) return;
  const [id] = without, more = without.length > 1 ? ` and ${without.length - 1} more` : "";
  const enough = without.every((id) => turns.includes(id));
  throw new UserError(
    `${dir}: token ${JSON.stringify(tokenizer.decode([id]))} has id ${id}${more}, but the ` +
      `embedding has only ${rows} rows`,
    {
      hint: enough
        ? `give them rows with \`thinker model add-tokens ${dir}\``
        : `resize the embedding: resize_token_embeddings(${tokenizer.vocabSize}) in transformers`,
    },
  );
}
