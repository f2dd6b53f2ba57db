/**
 * `thinker model`: folders with models.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import {
  addTokens,
  inspectModel,
  readTrained,
  type Refusal,
  type Trained,
} from "../src/model/mod.ts";
import { howToAsk } from "../src/rollout/mod.ts";
import { readRecord } from "../src/hub/mod.ts";
import { formatBytes, UserError } from "../src/base/mod.ts";
import { withoutNetwork } from "./hub_endpoint.ts";
import { checkMayWrite } from "./may_write.ts";
import { modelDownloadCommand } from "./model_download.ts";
import { modelImportCommand } from "./model_import.ts";
import { print } from "./output.ts";

/** The command with its sub-commands. */
export function modelCommand() {
  return new Command()
    .description("Get a model, look into it, make it fit the stages.")
    .command("download", modelDownloadCommand())
    .command("info", infoCommand())
    .command("add-tokens", addTokensCommand())
    .command("import", modelImportCommand());
}

function infoCommand() {
  return new Command()
    .description(
      "Tell what a model folder holds, how much memory it takes, and what stands in the way of " +
        "training it. Reads the weights once.",
    )
    .arguments("<dir:string>")
    .option("--json", "Print everything as JSON, amounts in bytes.")
    .example("a downloaded model", "thinker model info models/Qwen2.5-1.5B")
    .action(async ({ json }: Record<string, unknown>, dir: string) => {
      await withoutNetwork();
      const report = await inspectModel(dir), source = await readRecord(dir);
      const asking = askingOf(dir), { trained, refusal } = asking;
      const more = { trained: trained ?? null, unasked: refusal ?? null, source: source ?? null };
      if (json) print(JSON.stringify({ ...report, ...more }, null, 2));
      else print(formatReport(dir, report, { source, ...asking }));
    });
}

/** What thinker.json says of how a model is asked, and why it will not be, where it will not. */
interface FolderAsking {
  readonly trained?: Trained;
  readonly refusal?: Refusal;
}

function askingOf(dir: string): FolderAsking {
  let trained: Trained | undefined;
  try {
    trained = readTrained(dir);
    howToAsk(trained);
    return { trained };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { trained, refusal: { message: error.message, hint: error.hint } };
  }
}

/** What a person must know before a model folder is used, a line each. */
export function remarks(
  { refusals, warnings }: Awaited<ReturnType<typeof inspectModel>>,
): string[] {
  return [
    ...refusals.map(({ message, hint }) => `will not load: ${message}\n  hint: ${hint}`),
    ...warnings.map((line) => `warning: ${line}`),
  ];
}

function formatReport(
  dir: string,
  report: Awaited<ReturnType<typeof inspectModel>>,
  { source, trained, refusal }: FolderAsking & {
    readonly source: Awaited<ReturnType<typeof readRecord>>;
  },
): string {
  const { config, tensors, tokenizer, memory } = report;
  const number = (n: number) => n.toLocaleString("en-US");
  const list = (names: readonly string[]) =>
    names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
  const shape = [
    `${config.layers} layers`,
    `width ${config.hidden}`,
    `feed-forward ${config.ffn}`,
    `${config.heads} heads of ${config.headDim}, ${config.kvHeads} for keys and values`,
    config.tiedHead ? "tied head" : "own head",
  ];
  const dtypes = Object.entries(tensors.dtypes).map(([dtype, n]) => `${n} ${dtype}`).join(", ");
  const chatML = Object.entries(tokenizer.chatML)
    .map(([token, id]) => id === null ? `${token} missing: see add-tokens` : `${token} ${id}`);
  const tokens = (named: typeof tokenizer.stop) =>
    named.map(({ id, token }) => `${token || "no token"} ${id}`).join(", ") || "none";
  const template = {
    ChatML: "ChatML, the turns that training uses",
    other: "another than the ChatML turns that training uses",
    none: "none",
    unreadable: "cannot be read",
  }[report.chatTemplate];
  const rows: [string, string][] = [
    ["architecture", config.architecture],
    ["shape", shape.join(", ")],
    ["parameters", number(report.parameters)],
    ["positions", `${number(config.maxPositions)}, RoPE base ${number(config.ropeTheta)}`],
    ["tensors", `${dtypes}, ${formatBytes(tensors.bytes)}`],
    ...(tensors.missing.length > 0 ? [["missing", list(tensors.missing)] as [string, string]] : []),
    ...(tensors.unused.length > 0 ? [["unused", list(tensors.unused)] as [string, string]] : []),
    [
      "tokenizer",
      `${number(tokenizer.size)} ids for ${
        number(config.vocab)
      } rows, ${tokenizer.special} control tokens`,
    ],
    ["turns", chatML.join(", ")],
    ["prefix", tokens(tokenizer.prefix)],
    ["stop ids", `${tokens(tokenizer.stop)}; in training also the turn's end`],
    ["chat template", template],
    ...(trained
      ? [["trained as", `${trained.task}: ${trained.stages.join(", ")}`] as [string, string]]
      : []),
    [
      "weights",
      `${formatBytes(memory.bfloat16)} in bfloat16, ${formatBytes(memory.float32)} in float32`,
    ],
    ["KV cache", `${formatBytes(memory.cachePerToken)} a token in bfloat16`],
    [
      "training",
      `${formatBytes(memory.training)} with Adam in mixed precision, ` +
      `${formatBytes(2 * memory.training)} with a critic`,
    ],
  ];
  const from = source ? `  (${source.repository} at ${source.commit.slice(0, 12)})` : "";
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    `${dir}${from}`,
    ...rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`),
    ...remarks(report),
    ...(refusal ? [`will not be asked: ${refusal.message}\n  hint: ${refusal.hint}`] : []),
  ].join("\n");
}

function addTokensCommand() {
  return new Command()
    .description("Add <|im_start|> and <|im_end|>, which the stages' turns are made of.")
    .arguments("<dir:string>")
    .example(
      "a model distilled from R1",
      "thinker model add-tokens models/DeepSeek-R1-Distill-Qwen-1.5B",
    )
    .action(async (_options: unknown, dir: string) => {
      await withoutNetwork();
      await checkMayWrite("the model", dir, { beside: true });
      const { tokens, rows } = await addTokens(dir);
      for (const { token, id, added } of tokens) {
        print(`${token}  ${id}  ${added ? "added" : "was there"}`);
      }
      const grown = `grown from ${rows.before} to ${rows.after} rows`;
      print(
        `embedding: ${rows.before === rows.after ? `${rows.after} rows suffice` : grown}`,
      );
    });
}
