/**
 * Where the data sets come from: one table with every source, its revision and its checksum.
 *
 * The files of GitHub are pinned to a commit, and a commit's tree names the git blob id of each file:
 * that is a checksum known beforehand. A file of the Hugging Face hub is followed on a branch; its commit
 * and checksum are written to the lock file on first download and hold from then on.
 *
 * @module
 */
import { defaultEndpoint, encodePath, resolvePath } from "../hub/mod.ts";

/** One published file that becomes one data set. */
export interface DataSource {
  /** The set's name; it becomes `<folder>/<name>.jsonl`. */
  readonly name: string;
  /** To measure with, or to train on. */
  readonly folder: "eval" | "train";
  /** Where the file lies: a repository of GitHub, or a data set of the Hugging Face hub. */
  readonly host: "github" | "hub";
  /** Owner and name. */
  readonly repo: string;
  /** A commit; on the hub the branch that is followed until the lock file names a commit. */
  readonly revision: string;
  /** The file's path in the repository. */
  readonly path: string;
  /** The git blob id of the file; missing where it is not known beforehand. */
  readonly blob?: string;
  /** Rows of a benchmark: another number means another set. */
  readonly rows?: number;
  /** Licence of the set. */
  readonly licence: string;
}

const orz = {
  host: "github",
  repo: "Open-Reasoner-Zero/Open-Reasoner-Zero",
  revision: "3fdd9a07b4fb01e06005e6e74fc56690cde8a341",
} as const;

const qwen = {
  host: "github",
  repo: "QwenLM/Qwen2.5-Math",
  revision: "a45202bd16f1ec06f433442dc1152d0074773465",
} as const;

/** Every data set, benchmarks first. */
export const dataSources: readonly DataSource[] = [
  {
    name: "math500",
    folder: "eval",
    ...orz,
    path: "data/eval_data/math500.json",
    blob: "e8ba46e18ac1a0cd112c63d863a167ad5d1cf5a2",
    rows: 500,
    licence: "MIT",
  },
  {
    name: "aime24",
    folder: "eval",
    ...orz,
    path: "data/eval_data/aime2024.json",
    blob: "2b78e73d1460af1ab43727675d43ef498994a1d4",
    rows: 30,
    licence: "MIT",
  },
  {
    name: "aime25",
    folder: "eval",
    host: "hub",
    repo: "math-ai/aime25",
    revision: "main",
    path: "test.jsonl",
    rows: 30,
    licence: "see its page",
  },
  {
    name: "gpqa_diamond",
    folder: "eval",
    ...orz,
    path: "data/eval_data/gpqa_diamond.json",
    blob: "1d6283c29abe432e6d68ac7cea8d43bf3f070aac",
    rows: 198,
    licence: "CC BY 4.0; its authors ask not to publish the questions",
  },
  {
    name: "olympiadbench",
    folder: "eval",
    ...qwen,
    path: "evaluation/data/olympiadbench/test.jsonl",
    blob: "ec36280b1de8f5bbee92da696c2ae84f5f6e6beb",
    rows: 675,
    licence: "Apache-2.0",
  },
  {
    name: "amc23",
    folder: "eval",
    ...qwen,
    path: "evaluation/data/amc23/test.jsonl",
    blob: "6894ad7c49a0b3a64210af32954f4d049d934ea0",
    rows: 40,
    licence: "see its page",
  },
  {
    name: "minerva_math",
    folder: "eval",
    ...qwen,
    path: "evaluation/data/minerva_math/test.jsonl",
    blob: "123c5cd351cac2b8ead5413bc084629d7ff651de",
    rows: 272,
    licence: "see its page",
  },
  {
    name: "college_math",
    folder: "eval",
    ...qwen,
    path: "evaluation/data/college_math/test.jsonl",
    blob: "1f884189628100309616fdcf9cad9422dc480878",
    rows: 2818,
    licence: "CC BY 3.0 sources",
  },
  {
    name: "gsm8k",
    folder: "eval",
    ...qwen,
    path: "evaluation/data/gsm8k/test.jsonl",
    blob: "3e6e62b831b5fcbf0585d0dce75ccc5e4ccb691c",
    rows: 1319,
    licence: "MIT",
  },
  {
    name: "gsm8k_train",
    folder: "train",
    ...qwen,
    path: "evaluation/data/gsm8k/train.jsonl",
    blob: "3c084d99a1f7a6613e4170411d4b02b6cdbdd35f",
    licence: "MIT",
  },
  {
    name: "orz_57k",
    folder: "train",
    ...orz,
    path: "data/orz_math_57k_collected.json",
    blob: "08812d4a47aadf8fa80a43f11431e6d41ba55b64",
    licence: "MIT",
  },
  {
    name: "orz_72k",
    folder: "train",
    ...orz,
    path: "data/orz_math_72k_collection_extended.json",
    blob: "692af2e8184c5a5ec6e9161abd89cdf561a1cb71",
    licence: "MIT",
  },
  {
    name: "orz_13k_hard",
    folder: "train",
    ...orz,
    path: "data/orz_math_13k_collection_hard.json",
    blob: "136948e32ffd26e3988f9b9fc7be30b5626619bb",
    licence: "MIT",
  },
];

/** Addresses of the two hosts; another one serves the same paths (a mirror, a test). */
export interface Endpoints {
  /** Address of the Hugging Face hub. */
  readonly hub: string;
  /** Address of the files of GitHub. */
  readonly github: string;
}

/** The hosts themselves. */
export const publicEndpoints: Endpoints = {
  hub: defaultEndpoint,
  github: "https://raw.githubusercontent.com",
};

/** Where a file lies below its host's address. */
export function sourcePath(
  { host, repo, path }: Pick<DataSource, "host" | "repo" | "path">,
  revision: string,
): string {
  return host === "hub"
    ? `/datasets${resolvePath(repo, revision, path)}`
    : `/${repo}/${encodeURIComponent(revision)}/${encodePath(path)}`;
}
