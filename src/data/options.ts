/**
 * The options of multiple-choice questions in published layouts.
 *
 * @module
 */
import { type Find, fromJson } from "./cells.ts";
import { isRow, type RawRow } from "./dialogue.ts";
import { listInText } from "./lists.ts";

/** The options under letters, undefined where there are none, or why they cannot be read. */
export function choicesOf(row: RawRow, find: Find): unknown {
  const value = given(find);
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
  const letters = Array.from({ length: 26 }, (_, i) => letterAt(i)!);
  const end = letters.findIndex((letter) => row[letter] === undefined || row[letter] === null);
  if (end < 2) return undefined;
  return Object.fromEntries(letters.slice(0, end).map((letter) => [letter, row[letter]]));
}

/** A list of options as an object under letters; `A) …`, as AQuA writes them, loses its letter. */
function lettered(options: readonly unknown[]): Record<string, unknown> {
  const letter = (i: number) => letterAt(i)!;
  const prefix = (i: number) => new RegExp(`^\\(?${letter(i)}[).:]\\s*`);
  const prefixed = options.every((text, i) => typeof text === "string" && prefix(i).test(text));
  return Object.fromEntries(options.map((text, i) => [
    letter(i),
    prefixed ? String(text).replace(prefix(i), "") : text,
  ]));
}

/** The options as they stand in the row, also where the list became text. */
function given(find: Find): unknown {
  const value = find("choices") ?? find("options");
  return typeof value === "string" ? listInText(value) ?? fromJson(value) : value;
}

/** An answer that names its option otherwise than by its letter or its text. */
export interface Placed {
  /** The option's letter. */
  readonly letter: string;
  /** Whether the answer is another option's text as well. */
  readonly doubtful: boolean;
}

/**
 * The option that an answer names by its label (ARC) or by its place from 0 (MMLU, HellaSwag, LogiQA). A
 * whole number is a place where an option stands there, whether the file has it as a number or as text: in
 * CSV there is no other way to write one. Of published sets with lists of options none writes an option's
 * text where a place could be meant, and MMLU has places beside options that are numbers.
 */
export function placeOf(answer: string | number, find: Find): Placed | undefined {
  const options = given(find), text = String(answer).trim();
  if (isRow(options) && Array.isArray(options.label)) {
    const letter = letterAt(options.label.map(String).indexOf(text));
    return letter === undefined ? undefined : { letter, doubtful: false };
  }
  if (!Array.isArray(options) || !/^\d{1,2}$/.test(text) || Number(text) >= options.length) return;
  const texts = options.map((each) => String(each).trim());
  const doubtful = texts.includes(text) && texts[Number(text)] !== text;
  return { letter: letterAt(Number(text))!, doubtful };
}

/** A for 0; undefined for -1. */
function letterAt(place: number): string | undefined {
  return place < 0 ? undefined : String.fromCharCode(65 + place);
}
