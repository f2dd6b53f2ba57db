/**
 * The tokenizer's files in a model folder, and what tokenizer_config.json has to say about ids: which control
 * token a sequence begins with.
 *
 * @module
 */
import { existsSync } from "node:fs";
import * as z from "npm:zod@4.6.7";
import { check, readJson, UserError } from "../base/mod.ts";

/** A token as tokenizer_config.json names it: its text, or an object that has it. */
export const tokenText = z.union([z.string(), z.looseObject({ content: z.string() })])
  .transform((token) => typeof token === "string" ? token : token.content);

/** The text of a token as tokenizer_config.json names it; undefined where it names none. */
export function textOfToken(token: unknown): string | undefined {
  return tokenText.safeParse(token).data;
}

const schema = z.looseObject({
  tokenizer_class: z.string().nullish(),
  add_bos_token: z.boolean().nullish(),
  add_eos_token: z.boolean().nullish(),
  bos_token: tokenText.nullish(),
});

/** Classes of transformers that make their own post-processor, with a begin-of-text token by default. */
const llamaClass = /^(Code)?LlamaTokenizer(Fast)?$/;

/** Files that a tokenizer.json can be made of. */
const otherFiles = ["tokenizer.model", "tekken.json", "vocab.json"];

/**
 * The content of a model folder's tokenizer.json.
 *
 * @throws {UserError} when there is none, or it cannot be read or is not JSON.
 */
export function readTokenizerJson(dir: string): unknown {
  const path = `${dir}/tokenizer.json`;
  const other = otherFiles.find((name) => existsSync(`${dir}/${name}`));
  if (other !== undefined && !existsSync(path)) {
    throw new UserError(`${dir} has ${other}, but no tokenizer.json`, {
      hint:
        "make one in Python: transformers' AutoTokenizer.from_pretrained(dir).save_pretrained(dir)",
    });
  }
  return readJson(path, `${dir} must be a model folder as Hugging Face writes it`);
}

/**
 * The content of a model folder's tokenizer_config.json; undefined where it has none.
 *
 * @throws {UserError} when the file cannot be read or is not JSON.
 */
export function readTokenizerConfig(dir: string): unknown {
  const path = `${dir}/tokenizer_config.json`;
  const hint = `${dir} must be a model folder as Hugging Face writes it`;
  return existsSync(path) ? readJson(path, hint) : undefined;
}

/**
 * Control tokens in front of a text, as transformers 4 has it: Llama's tokenizer class, which the R1
 * distillations of Qwen have too, goes by `add_bos_token` (if missing: true) and leaves the post-processor
 * of tokenizer.json aside; every other class has that post-processor decide.
 *
 * @param config Content of tokenizer_config.json; undefined where there is none.
 * @param template The tokens that the post-processor puts in front.
 * @param find Id of a token; undefined for one that the tokenizer lacks.
 * @param where The file's name, for messages.
 * @throws {UserError} when the content is malformed, asks for a token that is missing, or for one behind
 *   the text.
 */
export function prefixOf(
  config: unknown,
  template: () => number[],
  find: (token: string) => number | undefined,
  where: string,
): number[] {
  const { tokenizer_class, add_bos_token, add_eos_token, bos_token } = check(
    schema,
    config ?? {},
    where,
    "compare with the model's published tokenizer_config.json",
  );
  const isLlama = llamaClass.test(tokenizer_class ?? "");
  // A file without a class may come from one.
  const decides = isLlama || (!tokenizer_class && typeof add_bos_token === "boolean");
  if (!decides) return template();
  if (add_eos_token) {
    throw new UserError(`${where}: add_eos_token asks for a token behind a text`, {
      hint: "a model is to go on where a text ends: set it to false",
    });
  }
  if (add_bos_token === false) return [];
  const token = bos_token === undefined && isLlama ? "<s>" : bos_token;
  const id = typeof token === "string" ? find(token) : undefined;
  if (id !== undefined) return [id];
  const what = token
    ? `bos_token ${JSON.stringify(token)} is not in the vocabulary`
    : "none is named";
  throw new UserError(`${where}: a begin-of-text token is to be added, but ${what}`, {
    hint: "name the right bos_token, or set add_bos_token to false",
  });
}
