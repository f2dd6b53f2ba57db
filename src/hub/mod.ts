/**
 * Files and models from a Hugging Face hub: what a repository holds, and its download, resumable and
 * checked. The only room that uses the network, and only when it is asked to.
 *
 * It speaks the hub's HTTP API itself. The npm package `@huggingface/hub` (2.17.5) was tried for this:
 * its snapshot download starts every file over after a break, compares no digest, and lays files out as
 * a cache of links; what would be left of it is one listing call.
 *
 * @module
 */
export * from "./digest.ts";
export * from "./endpoint.ts";
export * from "./file.ts";
export * from "./models.ts";
export * from "./repository.ts";
