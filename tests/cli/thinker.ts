/** Runs the command line as `deno task thinker` does: in a child process with that task's permissions. */

const root = new URL("../../", import.meta.url).pathname;
const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));

/** The task's arguments for deno, with `$(command)` replaced by what the command prints. */
async function taskArguments(env: Record<string, string>): Promise<string[]> {
  const task: string = tasks.thinker;
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

const script = "cli/main.ts";

/** How to start the command line. */
export interface Start {
  /** Working folder; default: the project's. */
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

/** Starts `thinker ...args`. */
export async function start(args: readonly string[], { cwd = root, env = {} }: Start = {}) {
  const flags = (await taskArguments(env)).filter((word) => word !== script).slice(1);
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...flags, `${root}${script}`, ...args],
    cwd,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs `thinker ...args` to its end. */
export async function thinker(args: readonly string[], options: Start = {}) {
  const { code, stdout, stderr } = await (await start(args, options)).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
