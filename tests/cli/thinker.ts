/** Runs the command line as `deno task` does: in a child process with that task's permissions. */

const root = new URL("../../", import.meta.url).pathname;
const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
const script = "cli/main.ts";

/** Environments are cleared of these, so that no setting of this machine decides a test. */
const unset = { HF_ENDPOINT: "", HF_TOKEN: "" };

/** The task's arguments for deno, with `$(command)` replaced by what the command prints. */
async function taskArguments(name: string, env: Record<string, string>): Promise<string[]> {
  const task: string = tasks[name];
  const inner = task.match(/\$\(deno (.*?)\)/);
  const words = (text: string) => text.split(" ").slice(text.startsWith("deno ") ? 1 : 0);
  if (!inner) return words(task);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: words(inner[1]),
    cwd: root,
    env,
  }).output();
  return words(task.replace(inner[0], new TextDecoder().decode(stdout).trim()));
}

/** How to start the command line. */
export interface Start {
  /** Working folder; default: the project's. */
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

/** Starts `thinker ...args`. */
export async function start(args: readonly string[], options: Start = {}) {
  return spawn(await taskArguments("thinker", { ...unset, ...options.env }), args, options);
}

/** Starts `deno task data ...args`. */
export async function startData(args: readonly string[], options: Start = {}) {
  return spawn(await taskArguments("data", { ...unset, ...options.env }), args, options);
}

function spawn(task: readonly string[], args: readonly string[], { cwd = root, env = {} }: Start) {
  const words = task.map((word) => word === script ? `${root}${script}` : word);
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...words.slice(1), ...args],
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
