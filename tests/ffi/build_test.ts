import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { libraryPath } from "../../ffi/mod.ts";
import { TempDir } from "../e2e/small.ts";

/** What open_device.ts prints. */
interface Report {
  readonly built?: boolean;
  readonly sum?: number;
  readonly error?: string;
  readonly message?: string;
  readonly hint?: string;
}

/** Runs open_device.ts in its own process: with all permissions, or with the given ones. */
async function openDevice(
  env: Record<string, string> = {},
  permissions: readonly string[] = ["-A"],
): Promise<Report> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, `${import.meta.dirname}/open_device.ts`],
    env: { NO_COLOR: "1", THINKER_LIB: "", ...env },
    stderr: "piped",
  });
  const { stdout, stderr } = await command.output();
  const text = new TextDecoder().decode(stdout);
  assert(text.startsWith("{"), text + new TextDecoder().decode(stderr));
  return JSON.parse(text);
}

/** Files below a folder, by name, without those that end in the given way. */
function names(dir: string, without: string): string[] {
  return [...Deno.readDirSync(dir)].flatMap(({ name, isDirectory }) =>
    isDirectory ? names(`${dir}/${name}`, without) : name.endsWith(without) ? [] : [name]
  );
}

/**
 * A folder with an empty cache and a compiler of our own in front of PATH: a shell script that notes
 * each call and then does as `script` says; "$@" are the compiler's arguments.
 */
async function withCompiler(
  script: string,
  body: (env: Record<string, string>, cache: string, calls: () => string[]) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${dir}/bin`);
    const text = `#!/bin/sh\necho "$*" >> "${dir}/calls"\n${script}\n`;
    await Deno.writeTextFile(`${dir}/bin/g++`, text, { mode: 0o755 });
    const env = { PATH: `${dir}/bin:${Deno.env.get("PATH")}`, XDG_CACHE_HOME: `${dir}/cache` };
    const calls = () => Deno.readTextFileSync(`${dir}/calls`).trim().split("\n");
    await body(env, `${dir}/cache/thinker`, calls);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const realCompiler = (await new Deno.Command("sh", { args: ["-c", "command -v g++"] }).output())
  .stdout;
const compiler = new TextDecoder().decode(realCompiler).trim();
/** The real compiler without optimisation: a build takes seconds. */
const quick = `for a; do shift; [ "$a" = -O3 ] && a=-O0; set -- "$@" "$a"; done
exec ${compiler} "$@"`;

Deno.test("build: two processes with an empty cache both get the library, built once", async () => {
  await withCompiler(quick, async (env, cache, calls) => {
    const reports = await Promise.all([openDevice(env), openDevice(env)]);
    assertEquals(reports.map(({ sum }) => sum), [50, 50]);
    assertEquals(reports.map(({ built }) => built).sort(), [false, true]);
    assertEquals(calls().filter((call) => call.includes("-shared")).length, 1);
    assertEquals(names(cache, "/").sort(), [
      "libthinker_cpu.so",
      "libthinker_cpu.so.sha256",
      "lock",
    ]);
    assertEquals(await openDevice(env), { built: false, sum: 50 });
    assertEquals(calls().filter((call) => call.includes("-shared")).length, 1);
  });
});

Deno.test("build: a failed one names the compiler's first error and leaves nothing behind", async () => {
  const broken = `for a; do if [ "$a" = -c ]; then
  echo "In file included from somewhere" >&2
  echo "head.cpp:3:5: error: broken on purpose" >&2
  echo "head.cpp:4:1: error: a second one" >&2
  exit 1
fi; done
exec ${compiler} "$@"`;
  await withCompiler(broken, async (env, cache) => {
    const { error, message } = await openDevice(env);
    assertEquals(error, "UserError");
    const expected = "building the cpu kernels failed: g++: head.cpp:3:5: error: broken on purpose";
    assertEquals(message, expected);
    assertEquals(names(cache, "lock"), []);
    assertEquals([...Deno.readDirSync(cache)].length, 1);
    const [{ name }] = [...Deno.readDirSync(cache)];
    assertEquals([...Deno.readDirSync(`${cache}/${name}`)].map((entry) => entry.name), ["lock"]);
  });
});

Deno.test("build: a CPU that the compiler does not know is the user's error", async () => {
  const { error, message } = await openDevice({ THINKER_MARCH: "nonsense" });
  assertEquals(error, "UserError");
  assertMatch(message!, /^building the cpu kernels failed: g\+\+: .*error: .*nonsense/);
  assert(!message!.includes("\n"));
});

Deno.test("build: without a compiler the error says what to install", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { error, message, hint } = await openDevice({ PATH: dir });
    assertEquals(error, "UserError");
    assertEquals(message, "no C++ compiler found: neither g++ nor clang++ is on PATH");
    assertStringIncludes(hint!, "apt install g++");
    assertStringIncludes(hint!, "THINKER_LIB");
  } finally {
    await Deno.remove(dir);
  }
});

Deno.test("build: without a home folder the error names the variables", async () => {
  const { message } = await openDevice({ HOME: "", XDG_CACHE_HOME: "" });
  assertEquals(
    message,
    "no cache folder: neither XDG_CACHE_HOME nor HOME names one by its full path",
  );
});

const variables = "THINKER_LIB,THINKER_MARCH,XDG_CACHE_HOME,HOME";

Deno.test("permissions: building and running need these, each of them, and no more", async () => {
  await withCompiler(quick, async (env) => {
    const cache = `${env.XDG_CACHE_HOME}/thinker`;
    const needed = [
      `--allow-env=${variables}`,
      `--allow-read=${cache}`,
      `--allow-write=${cache}`,
      "--allow-run=g++",
      `--allow-ffi=${cache}`,
    ];
    assertEquals(await openDevice(env, needed), { built: true, sum: 50 });
    // Once it is built, nothing is written.
    const later = needed.filter((permission) => !permission.startsWith("--allow-write"));
    assertEquals(await openDevice(env, later), { built: false, sum: 50 });
    for (const missing of later) {
      const { error } = await openDevice(env, later.filter((permission) => permission !== missing));
      assertEquals(error, "NotCapable", `without ${missing}`);
    }
  });
});

Deno.test("build: a compiler gets an environment of named variables", async () => {
  await using dir = await TempDir.make();
  const known = ["HOME", "LC_ALL", "PATH", "TMPDIR"];
  const script = `env -0 > ${dir.path}/environment\n${quick}`;
  await withCompiler(script, async (env, cache) => {
    const ask = async (variables: string) => {
      const permissions = [
        `--allow-env=${variables}`,
        ...["read", "write", "ffi"].map((name) => `--allow-${name}=${cache}`),
        "--allow-run=g++",
      ];
      const more = { LD_LIBRARY_PATH: dir.path, LC_ALL: "de_DE", TMPDIR: dir.path, CPATH: "/mine" };
      const { sum } = await openDevice({ ...env, ...more }, permissions);
      assertEquals(sum, 50);
      const text = await Deno.readTextFile(`${dir.path}/environment`);
      return new Map(text.split("\0").map((line) => line.split("=", 2) as [string, string]));
    };
    // What the shell of this test adds does not count.
    const own = (names: Map<string, string>) =>
      [...names.keys()].filter((name) => name && !/^(_|PWD|OLDPWD|SHLVL)$/.test(name)).sort();
    const named = await ask(`${variables},PATH,TMPDIR,LD_LIBRARY_PATH`);
    assertEquals(own(named), known);
    assertEquals([named.get("LC_ALL"), named.get("TMPDIR")], ["C", dir.path]);
    // A program that may not read PATH passes on what is there, but for what Deno would refuse.
    const passed = await ask(variables);
    assertEquals([passed.get("LC_ALL"), passed.get("CPATH")], ["C", "/mine"]);
    assert(!passed.get("LD_LIBRARY_PATH"));
  });
});

Deno.test("permissions: with THINKER_LIB the library is all that is needed", async () => {
  const library = await libraryPath("cpu");
  const permissions = ["--allow-env=THINKER_LIB", `--allow-ffi=${library}`];
  const report = await openDevice({ THINKER_LIB: library }, permissions);
  assertEquals(report, { built: false, sum: 50 });
});
