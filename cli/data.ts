/**
 * `thinker data`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import * as z from "npm:zod@4.6.7";
import { formatBytes, UserError } from "../src/base/mod.ts";
import {
  type DataSource,
  dataSources,
  fetchSet,
  importSet,
  type PreparedSet,
  type Proof,
  publicEndpoints,
} from "../src/datasets/mod.ts";
import { dataCheckCommand } from "./data_check.ts";
import { hubEndpoint, hubToken, mayConnect } from "./hub_endpoint.ts";
import { interruptible } from "./interrupt.ts";
import { checkMayWrite } from "./may_write.ts";
import { checkOptions } from "./options.ts";
import { print, tell } from "./output.ts";

const optionsSchema = z.object({
  sets: z.string().default("eval,train"),
  from: z.string().optional(),
  out: z.string(),
  list: z.boolean().default(false),
  json: z.boolean().default(false),
});

const proofs: Record<Proof, string> = {
  checksum: "checksum right",
  lock: "as locked",
  recorded: "checksum recorded in data.lock.json",
  none: "not compared: another layout than the published file",
};

/** The command. */
export function dataCommand() {
  return new Command()
    .description(
      "Get the benchmarks and the training sets as JSONL. `deno task data` runs it with the network.",
    )
    .option("--sets <names:string>", "Sets by commas; eval, train: all of a kind (default: both).")
    .option("--from <dir:string>", "Convert files that are there already; connects to nothing.")
    .option("--out <dir:string>", "Folder for eval/, train/ and data.lock.json.", {
      default: "data",
    })
    .option("--list", "Print where every set comes from.")
    .option("--json", "Print the outcome as JSON.")
    .example("everything", "deno task data")
    .example("two benchmarks", "deno task data --sets math500,aime25")
    .example("on a closed network", "thinker data --from ~/downloads")
    .example("a file of your own", "thinker data check mine.csv")
    .action(async (options: Record<string, unknown>) => {
      await interruptible((signal) => show(options, signal));
    })
    .command("check", dataCheckCommand());
}

async function show(raw: Record<string, unknown>, signal: AbortSignal): Promise<void> {
  const { sets, from, out, list, json } = checkOptions(optionsSchema, raw);
  const { sources, named } = chosenSources(sets);
  if (list) {
    print(json ? JSON.stringify(sources, null, 2) : sources.map(sourceLine).join("\n"));
    return;
  }
  await checkMayWrite("--out", out);
  if (from === undefined && !await mayConnect()) {
    throw new UserError("thinker data may not connect to the hub", {
      hint: "run `deno task data`, which has the permission, or convert files with --from",
    });
  }
  const ready: PreparedSet[] = [], missing: string[] = [];
  for (const source of sources) {
    signal.throwIfAborted();
    const set = from === undefined
      ? await fetchSet(source, fetchOptions(out, signal))
      : await importSet(source, from, { out });
    if (set) {
      ready.push(set);
      if (!json) print(setLine(set));
    } else if (named.has(source.name)) {
      throw new UserError(`${from} has no file of ${source.name}`, {
        hint: `name it ${source.name}.jsonl, .json or .parquet, or keep its published path`,
      });
    } else missing.push(source.name);
  }
  if (ready.length === 0) {
    throw new UserError(`${from} has no file of any set`, {
      hint: "name them after their sets, such as math500.jsonl; --list shows the sets",
    });
  }
  if (json) print(JSON.stringify({ sets: ready, missing }, null, 2));
  else if (missing.length > 0) print(`not in ${from}: ${missing.join(", ")}`);
}

/** The sets that were asked for, and which of them by their own name. */
function chosenSources(text: string): { sources: DataSource[]; named: Set<string> } {
  const words = text.split(",").map((word) => word.trim()).filter((word) => word !== "");
  const known = dataSources.map(({ name }) => name);
  const unknown = words.find((word) => !["eval", "train", ...known].includes(word));
  if (unknown !== undefined || words.length === 0) {
    throw new UserError(`--sets: there is no set ${JSON.stringify(unknown ?? "")}`, {
      hint: `sets: ${known.join(", ")}; or eval, train`,
    });
  }
  const sources = dataSources.filter(({ name, folder }) =>
    words.includes(name) || words.includes(folder)
  );
  return { sources, named: new Set(words) };
}

function fetchOptions(out: string, signal: AbortSignal) {
  let shownAt = 0;
  return {
    out,
    signal,
    endpoints: { ...publicEndpoints, hub: hubEndpoint() },
    token: hubToken(),
    onProgress: (name: string, bytes: number, total: number | undefined) => {
      if (Date.now() - shownAt < 2000) return;
      if (shownAt > 0) {
        tell(`${name}: ${formatBytes(bytes)}${total ? ` of ${formatBytes(total)}` : ""}`);
      }
      shownAt = Date.now();
    },
  };
}

function setLine({ name, path, rows, skipped, proof }: PreparedSet): string {
  const left = skipped > 0 ? `, ${skipped} left out` : "";
  return `${name.padEnd(14)} ${String(rows).padStart(6)} rows${left}  ${path}  (${proofs[proof]})`;
}

function sourceLine({ name, host, repo, revision, path, licence }: DataSource): string {
  const where = host === "github" ? `github.com/${repo}` : `huggingface.co/datasets/${repo}`;
  return `${name.padEnd(14)} ${where} @ ${revision.slice(0, 12)} ${path} (${licence})`;
}
