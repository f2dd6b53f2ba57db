/**
 * `thinker model download`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import * as z from "npm:zod@4.6.7";
import { formatBytes, UserError } from "../src/base/mod.ts";
import { defaultFolder, downloadModel, type DownloadProgress } from "../src/hub/mod.ts";
import { hubEndpoint, hubToken, mayConnect } from "./hub_endpoint.ts";
import { interruptible } from "./interrupt.ts";
import { checkMayWrite } from "./may_write.ts";
import { checkOptions } from "./options.ts";
import { print, show } from "./output.ts";
import { duration } from "./progress.ts";

const optionsSchema = z.object({
  revision: z.string().default("main"),
  out: z.string().min(1).optional(),
});

/** The command. */
export function modelDownloadCommand() {
  return new Command()
    .description("Download a model from a Hugging Face hub; run again after a break, it continues.")
    .arguments("<repo:string>")
    .option("--revision <rev:string>", "Branch, tag or commit.", { default: "main" })
    .option("--out <dir:string>", "Folder to make (default: models/<name>).")
    .example("the base of preset q1.5b", "deno task model download Qwen/Qwen2.5-1.5B")
    .example("another hub", "HF_ENDPOINT=https://hub.example deno task model download OWNER/NAME")
    .action(async (options: Record<string, unknown>, repo: string) => {
      await interruptible((signal) => download(checkOptions(optionsSchema, options), repo, signal));
    });
}

async function download(
  options: z.output<typeof optionsSchema>,
  repo: string,
  signal: AbortSignal,
): Promise<void> {
  const { revision, out = defaultFolder(repo) } = options;
  if (!await mayConnect()) {
    throw new UserError("a download needs the network, which this task has no permission for", {
      hint: "use `deno task model download …`",
    });
  }
  await checkMayWrite("--out", out, { beside: true });
  const progress = new ProgressLine();
  try {
    const { commit, bytes, already } = await downloadModel(repo, {
      out,
      revision,
      signal,
      endpoint: hubEndpoint(),
      token: hubToken(),
      onProgress: (state) => progress.show(state),
    });
    progress.end();
    const what = `${repo} at ${commit.slice(0, 12)}, ${formatBytes(bytes)}`;
    print(`${already ? "already there" : "downloaded and checked"}: ${what}`);
    print(`${out}  (deno task thinker model info ${out})`);
  } finally {
    progress.end();
  }
}

/** Bytes, rate and time left: rewritten in place on a terminal, a line every ten seconds elsewhere. */
class ProgressLine {
  readonly #terminal = Deno.stderr.isTerminal();
  readonly #began = performance.now();
  #shown = -Infinity;
  #open = false;

  show({ total, done, kept }: DownloadProgress): void {
    const now = performance.now();
    if (now - this.#shown < (this.#terminal ? 100 : 10_000) && done < total) return;
    this.#shown = now;
    const seconds = (now - this.#began) / 1000, rate = (done - kept) / seconds;
    const left = rate > 0 ? `, ${duration((total - done) / rate)} left` : "";
    const text = `${formatBytes(done)} of ${formatBytes(total)}, ${formatBytes(rate)}/s${left}`;
    show(this.#terminal ? `\r\x1b[K${text}` : `${text}\n`);
    this.#open = this.#terminal;
  }

  end(): void {
    if (this.#open) show("\n");
    this.#open = false;
  }
}
