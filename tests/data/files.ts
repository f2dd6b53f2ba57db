/** Files for the tests of this folder: temporary ones, and those of tests/fixtures/data. */
import { loadProblems } from "../../src/data/mod.ts";

/** The path of a file in tests/fixtures/data. */
export function fixture(name: string): string {
  return new URL(`../fixtures/data/${name}`, import.meta.url).pathname;
}

/** Writes `content` to a temporary file named `name` and hands its path to `use`. */
export async function withFile(
  name: string,
  content: string | Uint8Array,
  use: (path: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${dir}/${name}`, bytes);
    await use(`${dir}/${name}`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** JSONL of some rows. */
export function jsonl(...rows: readonly unknown[]): string {
  return rows.map((row) => JSON.stringify(row)).join("\n");
}

/** Question and answer of every problem of a file. */
export async function pairs(path: string): Promise<string[][]> {
  return (await loadProblems(path)).problems.map(({ question, answer }) => [question, answer]);
}
