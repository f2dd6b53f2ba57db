/**
 * Lists that were written into one text: by JSON, by Python (`str([…])`), or by NumPy, as pandas writes the
 * lists of a parquet file into CSV.
 *
 * @module
 */
import { exactJson } from "./values.ts";

/** The items of a list as text; undefined where the text is no such list. */
export function listInText(text: string): readonly unknown[] | undefined {
  const trimmed = text.trim();
  if (!/^[[(]/.test(trimmed)) return undefined;
  return jsonList(trimmed) ?? pythonList(trimmed);
}

/** Whether a text looks like Python's spelling of a list or an object, whatever is inside. */
export function looksPython(text: string): boolean {
  return /^\s*(?:\[\s*['"].*\]|\(\s*['"].*\)|\[\s*[[{(]\s*['"].*\]|array\(.*\)|\{\s*'[^']*'\s*:.*\})\s*$/s
    .test(text);
}

function jsonList(text: string): readonly unknown[] | undefined {
  try {
    const list = exactJson(text);
    return Array.isArray(list) ? list : undefined;
  } catch {
    return undefined;
  }
}

/** One item with what follows it: a text in quotes, or a bare word; NumPy writes no commas. */
const item = String
  .raw`(?:[bru]?'((?:[^'\\]|\\.)*)'|[bru]?"((?:[^"\\]|\\.)*)"|(-?[\d.]+(?:e[+-]?\d+)?|None|True|False|nan))`;
const itemAndEnd = new RegExp(String.raw`\s*${item}(\s*,\s*|\s+(?=\S)|\s*$)`, "sy");

function pythonList(text: string): readonly unknown[] | undefined {
  const tuple = text.startsWith("(");
  if (!text.endsWith(tuple ? ")" : "]")) return undefined;
  const inside = text.slice(1, -1), items: unknown[] = [], ends: string[] = [];
  itemAndEnd.lastIndex = 0;
  while (itemAndEnd.lastIndex < inside.length) {
    const found = itemAndEnd.exec(inside);
    if (!found) return undefined;
    const [, single, double, word, end] = found;
    const quoted = single ?? double;
    items.push(quoted === undefined ? bare(word) : unescaped(quoted));
    ends.push(end.trim());
  }
  // ('5') is a text in brackets: the comma makes the tuple.
  return tuple && items.length === 1 && ends[0] !== "," ? undefined : items;
}

function bare(word: string): unknown {
  if (word === "True" || word === "False") return word === "True";
  if (word === "None" || word === "nan") return null;
  return String(Number(word)) === word ? Number(word) : word;
}

/** Python's escapes as its `repr` writes them; any other backslash is the text's own. */
function unescaped(text: string): string {
  return text.replace(
    /\\(?:x([\da-f]{2})|u([\da-f]{4})|U([\da-f]{8})|([nrt'"\\]))/g,
    (_, two, four, eight, letter) =>
      letter === undefined
        ? String.fromCodePoint(parseInt(two ?? four ?? eight, 16))
        : ({ n: "\n", r: "\r", t: "\t" } as Record<string, string>)[letter] ?? letter,
  );
}
