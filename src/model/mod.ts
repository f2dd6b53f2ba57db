/**
 * Models: configs, parameters, the layer graph for training and for paged decoding, checkpoints in
 * Hugging Face's layout, and the tokenizer.
 *
 * @module
 */
export * from "./add_tokens.ts";
export { byteChars } from "./alphabet.ts";
export * from "./broken.ts";
export * from "./chat_template.ts";
export * from "./checkpoint.ts";
export * from "./config.ts";
export * from "./decoder.ts";
export type { Dtype, FloatDtype } from "./dtype.ts";
export * from "./gguf_import.ts";
export * from "./init.ts";
export * from "./inspect.ts";
export * from "./layer.ts";
export * from "./load.ts";
export * from "./paged.ts";
export * from "./parameters.ts";
export { qwen2Pattern } from "./pretokenizer.ts";
export * from "./rope.ts";
export { parseRopeScaling, type RopeSettings } from "./rope_config.ts";
export * from "./safetensors.ts";
export * from "./save.ts";
export * from "./shards.ts";
export * from "./token_rows.ts";
export * from "./tokenizer.ts";
export { readTokenizerConfig, readTokenizerJson, textOfToken } from "./tokenizer_config.ts";
export * from "./trained.ts";
export * from "./weights.ts";
export * from "./whole.ts";
