/**
 * The options of multiple-choice questions in published layouts.
 *
 * @module
 */
import { type Find, fromJson } from "./cells.ts";
import { isRow, type RawRow } from "./dialogue.ts";

/** The options under letters, undefined where there are none, or why they cannot be read. */
export function choicesOf(row: RawRow, find: Find): unknown {
  const value = fromJson(find("choices") ?? find("options"));
  if (value === undefined || value === "") return letterColumns(row);
  // ARC: two lists side by side.
  if (isRow(value) && Array.isArray(value.text)) {
    return lettered(value.text);
  }
  if (Array.isArray(value)) return value.length === 0 ? undefined : lettered(value);
  // A table has a column for each letter that any row has.
  if (isRow(value)) {
    return Object.fromEntries(Object.entries(value).filter(([, text]) => text !== null));
  }
  return "choices" in row ? "the choices are no list" : "the options are no list";
}

/** Options in columns of their own, A, B, C, …, as C-Eval and MMLU's tables have them. */
function letterColumns(row: RawRow): RawRow | undefined {
  const letters = Array.from({ length: 26 }, (_, i) => letterOf(i)!);
  const end = letters.findIndex((letter) => row[letter] === undefined || row[letter] === null);
  if (end < 2) return undefined;
  return Object.fromEntries(letters.slice(0, end).map((letter) => [letter, row[letter]]));
}

/** A list of options as an object under letters; `A) …`, as AQuA writes them, loses its letter. */
function lettered(options: readonly unknown[]): Record<string, unknown> {
  const letter = (i: number) => letterOf(i)!;
  const prefix = (i: number) => new RegExp(`^\\(?${letter(i)}[).:]\\s*`);
  const prefixed = options.every((text, i) => typeof text === "string" && prefix(i).test(text));
  return Object.fromEntries(options.map((text, i) => [
    letter(i),
    prefixed ? String(text).replace(prefix(i), "") : text,
  ]));
}

/**
 * The letter of an answer that names its option otherwise: by its label (ARC), or, where the answer is a
 * number, by its place from 0 (MMLU).
 */
export function letterAt(answer: string | number, find: Find): string | undefined {
  const given = fromJson(find("choices") ?? find("options"));
  if (isRow(given) && Array.isArray(given.label)) {
    return letterOf(given.label.map(String).indexOf(String(answer)));
  }
  const placed = typeof answer === "number" && Array.isArray(given) && !given.includes(answer);
  return placed && answer in given ? letterOf(answer) : undefined;
}

/** A for 0; undefined for -1. */
function letterOf(place: number): string | undefined {
  return place < 0 ? undefined : String.fromCharCode(65 + place);
}
