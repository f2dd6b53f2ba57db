/**
 * Child processes: compilers. They get a named environment, because Deno refuses to pass `LD_LIBRARY_PATH`,
 * `LD_PRELOAD` and their like on to a child unless a program may run everything, and GPU containers set
 * them. It also keeps settings that nobody looks at from changing what is built.
 *
 * @module
 */

/** What a program left. */
export interface ProgramResult {
  /** Whether it exited with 0. */
  readonly success: boolean;
  /** What it wrote. */
  readonly stdout: string;
  /** What it complained about. */
  readonly stderr: string;
}

/** Runs a program without input; undefined if there is no such program. Aborting ends it. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<ProgramResult | undefined> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      ...environment(),
      signal,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { success, stdout: decode(stdout), stderr: decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/**
 * The environment of a compiler: where its parts, its user's folder and its temporary files are, as far as
 * the program may read that. Messages are to be English, because they are searched for words.
 */
function environment(): { readonly clearEnv: boolean; readonly env: Record<string, string> } {
  const path = grantedVariable("PATH");
  // It would not find its linker: then everything is passed on but what Deno is known to refuse.
  if (path === undefined) {
    return { clearEnv: false, env: { LC_ALL: "C", LD_LIBRARY_PATH: "", LD_PRELOAD: "" } };
  }
  const env: Record<string, string> = { LC_ALL: "C", PATH: path };
  for (const name of ["HOME", "TMPDIR"]) {
    const value = grantedVariable(name);
    if (value !== undefined) env[name] = value;
  }
  return { clearEnv: true, env };
}

/** A variable of the environment; undefined where it is not set or the program may not read it. */
export function grantedVariable(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}
