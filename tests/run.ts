/**
 * Runs the tests so that a crash in native code names its place: `deno test` is one process, and a
 * segmentation fault would end it without a word about the tests that had not run. All tests
 * without native code share one child process, every folder with native code gets its own, and so do
 * the examples in the documentation.
 *
 * Usage: `deno task test [FILE|FOLDER ...] [--option-of-deno-test ...]`. The last line printed is
 * `N passed, N failed` (with `, N skipped` if any); the exit code is 1 when something failed.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";

/** Folders under tests/ that load native code. */
const NATIVE = ["ffi", "kernels", "model", "engine", "ppo", "e2e", "cli"];

/** Where examples stand, besides those marked `ignore` because they need a trained model. */
const DOCUMENTED = ["mod.ts", "src", "ffi", "README.md", "ARCHITECTURE.md", "docs"];

/** Test files that share one child process. */
interface Group {
  name: string;
  files: string[];
  options?: string[];
  env?: Record<string, string>;
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The `*_test.ts` files at or below `path`, sorted. */
function testFiles(path: string): string[] {
  if (Deno.statSync(path).isFile) return [path];
  return [...Deno.readDirSync(path)]
    .sort((a, b) => a.name < b.name ? -1 : 1)
    .flatMap((entry) => {
      const child = join(path, entry.name);
      if (entry.isDirectory) return testFiles(child);
      return entry.name.endsWith("_test.ts") ? [child] : [];
    });
}

/** Puts every file into the group of its native folder, or into the one group without native code. */
function groupFiles(files: string[]): Group[] {
  const groups = Object.groupBy(files, (file) => {
    const folder = relative(resolve("tests"), file).split(sep)[0];
    return NATIVE.includes(folder) ? folder : "pure";
  });
  return Object.entries(groups).map(([name, files]) => ({ name, files: files! }));
}

/**
 * The examples, for whole runs. Deno lets an example import all that its module exports, which the
 * type checker then finds unused: hence no check.
 */
const examples: Group = {
  name: "doc",
  files: DOCUMENTED.map((path) => resolve(path)).filter((path) => existsSync(path)),
  options: ["--doc", "--no-check"],
};

/**
 * In whole runs the tests on the emulator (their names begin with `emu`) get a process of their own: it
 * has one thread a kernel block, so it may run beside tests that use every core.
 */
function splitEmulator(groups: Group[]): Group[] {
  const variable = "THINKER_TEST_BACKENDS", folders = ["kernels", "ffi", "e2e"];
  if (Deno.env.has(variable)) return groups;
  const others = existsSync("/dev/nvidiactl") ? "cpu,cuda" : "cpu";
  const split = groups.map((group) =>
    folders.includes(group.name) ? { ...group, env: { [variable]: others } } : group
  );
  const files = groups.flatMap(({ name, files }) => folders.includes(name) ? files : []);
  if (files.length === 0) return groups;
  return [...split, {
    name: "emu",
    files,
    options: ["--filter=/^emu/"],
    env: { [variable]: "emu" },
  }];
}

/** Reads Deno's summary (`ok | 4 passed (2 steps) | 0 failed | 1 ignored (12ms)`) from its output. */
function readSummary(lines: string[]): Counts | undefined {
  const summary = lines.findLast((line) => /^(ok|FAILED) \| \d+ passed/.test(line));
  if (summary === undefined) return undefined;
  const count = (word: string) => Number(summary.match(`(\\d+) ${word}`)?.[1] ?? 0);
  return { passed: count("passed"), failed: count("failed"), skipped: count("ignored") };
}

/** Prints what arrives line by line, so that two processes never share a line, and keeps it. */
async function follow(
  stream: ReadableStream<Uint8Array>,
  prefix: string,
  lines: string[],
): Promise<void> {
  let rest = "";
  const print = (line: string) => {
    console.log(`${prefix}${line}`);
    // deno-lint-ignore no-control-regex -- colours are control sequences
    lines.push(line.replace(/\x1b\[[\d;]*m/g, ""));
  };
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    parts.forEach(print);
  }
  if (rest) print(rest);
}

/** Runs one group in a child process and counts; a crash counts as one failure and is explained. */
async function runGroup(
  { name, files, options: own = [], env = {} }: Group,
  prefix: string,
  options: string[],
): Promise<Counts> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "-A",
      "--lock=deno.lock",
      "--sanitize-ops",
      "--sanitize-resources",
      ...new Set([...own, ...options]),
      ...files,
    ],
    // With CI set Deno prints a test's name only after it has ended, too late for one that crashes.
    clearEnv: true,
    env: { ...environment, ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const lines: string[] = [];
  const [status] = await Promise.all([
    child.status,
    follow(child.stdout, prefix, lines),
    follow(child.stderr, prefix, []),
  ]);
  const counts = readSummary(lines) ?? { passed: 0, failed: 0, skipped: 0 };
  if (status.success || counts.failed > 0) return counts;
  const file = lines.findLast((line) => line.startsWith("running "))?.replace(/^.* from /, "");
  const test = lines.findLast((line) => line.includes(" ... ") || line.endsWith(" ..."));
  const end = status.signal ? `signal ${status.signal}` : `exit code ${status.code}`;
  console.log(
    `${prefix}CRASH: ${name} ended with ${end} in ${file ?? name}, after: ${test ?? "no test"}`,
  );
  const passed = lines.filter((line) => / \.\.\. ok \(.*\)$/.test(line)).length;
  return { ...counts, passed: Math.max(counts.passed, passed), failed: 1 };
}

const { CI: _, ...environment } = Deno.env.toObject();
const paths = Deno.args.filter((arg) => !arg.startsWith("-"));
const options = Deno.args.filter((arg) => arg.startsWith("-"));
const files = (paths.length ? paths : ["tests"]).flatMap((path) => testFiles(resolve(path)));
const found = groupFiles([...new Set(files)]);
const whole = paths.length === 0 && !options.some((option) => option.startsWith("--filter"));
const groups = whole ? splitEmulator(found) : found;
if (groups.length === 0) {
  console.error(`No *_test.ts files in ${paths.join(", ") || "tests"}.`);
  Deno.exit(1);
}
if (paths.length === 0 && examples.files.length > 0) groups.push(examples);
const width = Math.max(...groups.map(({ name }) => name.length));
const results: Counts[] = [];

/** Tests of the CPU backend use every core themselves, so only the others run beside them. */
async function lane(groups: Group[]): Promise<void> {
  for (const group of groups) {
    const prefix = `${group.name.padEnd(width)} | `;
    results.push(await runGroup(group, prefix, options));
  }
}

const beside = ({ name }: Group) => ["pure", "emu", examples.name].includes(name);
await Promise.all([
  lane(groups.filter(beside)),
  lane(groups.filter((group) => !beside(group))),
]);
const total = (key: keyof Counts) => results.reduce((sum, counts) => sum + counts[key], 0);
const skipped = total("skipped") ? `, ${total("skipped")} skipped` : "";
console.log(`${total("passed")} passed, ${total("failed")} failed${skipped}`);
Deno.exit(total("failed") ? 1 : 0);
