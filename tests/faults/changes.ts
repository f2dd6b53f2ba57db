/** Changes to the files of a place that can be taken back. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import type { Place } from "./place.ts";

/** Changes something; `dir` is the folder of a run or an evaluation. What it returns changes it back. */
export type Change = (place: Place, dir: string) => Promise<() => Promise<void>>;

/** A change in words, and what a line must say to name it. */
export type Case = readonly [fault: string, change: Change, says?: RegExp];

/** The path of a file of the place; one below `run/` is a file of the folder. */
function resolve(place: Place, dir: string, path: string): string {
  return place.at(path.replace(/^run\//, `${dir}/`));
}

/** Rewrites a file of text. */
export function edit(file: string, rewrite: (text: string) => string): Change {
  return editBytes(
    file,
    (bytes) => new TextEncoder().encode(rewrite(new TextDecoder().decode(bytes))),
  );
}

/** Rewrites a file. */
export function editBytes(file: string, rewrite: (bytes: Uint8Array) => Uint8Array): Change {
  return async (place, dir) => {
    const path = resolve(place, dir, file), before = await Deno.readFile(path);
    const after = rewrite(before.slice());
    if (after.length === before.length && after.every((byte, i) => byte === before[i])) {
      throw new Error(`${file} was not changed`);
    }
    await Deno.writeFile(path, after);
    return () => Deno.writeFile(path, before);
  };
}

/** A change of a file's lines. */
export function lines(change: (all: string[]) => string[]): (text: string) => string {
  return (text) => change(text.trimEnd().split("\n")).join("\n") + "\n";
}

/** Puts a copy of one file or folder into another's place. */
export function replace(target: string, source: string): Change {
  return async (place, dir) => {
    const restore = await remove(target)(place, dir), to = resolve(place, dir, target);
    await cp(resolve(place, dir, source), to, { recursive: true });
    return async () => {
      await Deno.remove(to, { recursive: true });
      await restore();
    };
  };
}

/** Takes a file or a folder away, if it is there. */
export function remove(target: string): Change {
  return async (place, dir) => {
    const path = resolve(place, dir, target);
    const kept = join(await Deno.makeTempDir({ dir: place.path }), "kept");
    const moved = await Deno.rename(path, kept).then(() => true, () => false);
    return async () => {
      if (!moved) return;
      await Deno.remove(path, { recursive: true }).catch(() => {}); // made anew meanwhile
      await Deno.rename(kept, path);
    };
  };
}
