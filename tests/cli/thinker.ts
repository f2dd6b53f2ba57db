/** Runs the command line as `deno task` does: in a child process with that task's permissions. */

const root = new URL("../../", import.meta.url).pathname;
const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
const script = "cli/main.ts";

/** Environments are cleared of these, so that no setting of this machine decides a test. */
const unset = { HF_ENDPOINT: "", HF_TOKEN: "", THINKER_NET: "" };

/** Tests write to temporary folders, where tasks may not by default. */
const temporary = { THINKER_WRITE: Deno.env.get("TMPDIR") ?? "/tmp" };

/** The task's arguments for deno, with each `$(deno …)` replaced by what the command prints. */
async function taskArguments(name: string, env: Record<string, string>): Promise<string[]> {
  const task: string = tasks[name];
  const words = (task.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ""));
  return await Promise.all(
    words.slice(1).map(async (word) => {
      const inner = word.match(/\$\(deno (.*?)\)/);
      if (!inner) return word.replace("--lock=", `--lock=${root}`);
      const args = inner[1].split(" ");
      const { stdout } = await new Deno.Command(Deno.execPath(), { args, cwd: root, env }).output();
      return word.replace(inner[0], () => new TextDecoder().decode(stdout).trim());
    }),
  );
}

/** How to start the command line. */
export interface Start {
  /** Working folder; default: the project's. */
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** A program, with its arguments, that starts the command behind them. */
  readonly through?: readonly string[];
}

/** Starts `deno task <name> ...args`. */
function startTask(name: string) {
  return async (args: readonly string[], options: Start = {}) => {
    const env = { ...unset, ...temporary, ...options.env };
    return spawn(await taskArguments(name, env), args, options);
  };
}

/** Starts `thinker ...args`. */
export const start = startTask("thinker");

/** Starts `deno task data ...args`. */
export const startData = startTask("data");

/** Starts `deno task model ...args`. */
export const startModel = startTask("model");

function spawn(
  task: readonly string[],
  args: readonly string[],
  { cwd = root, env = {}, through = [] }: Start,
) {
  const words = task.map((word) => word === script ? `${root}${script}` : word);
  const [program, ...before] = [...through, Deno.execPath()];
  return new Deno.Command(program, {
    args: [...before, "run", "--no-prompt", ...words.slice(1), ...args],
    cwd,
    env: { NO_COLOR: "1", ...unset, ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs `thinker ...args` to its end. */
export async function thinker(args: readonly string[], options: Start = {}) {
  return await ended(await start(args, options));
}

/** What a child process left. */
export async function ended(child: Deno.ChildProcess) {
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
