/**
 * The cells of a row, found by the names of their columns.
 *
 * @module
 */
import { isRow, type RawRow } from "./dialogue.ts";
import { exactJson } from "./values.ts";

/** Looks up a cell; undefined where there is none, or null in it. */
export type Find = (path: string) => unknown;

/** Looks cells up by the column's name, whatever its case and word breaks, or by dotted path. */
export function finder(row: RawRow): Find {
  const keys = new Map(Object.keys(row).map((key) => [normal(key), key]));
  const at = (name: string) => {
    const key = Object.hasOwn(row, name) ? name : keys.get(normal(name));
    return key === undefined ? undefined : row[key] ?? undefined;
  };
  return (path) => {
    const cell = at(path), dot = path.indexOf(".");
    if (cell !== undefined || dot < 0) return cell;
    const inner = fromJson(at(path.slice(0, dot)));
    return isRow(inner) ? finder(inner)(path.slice(dot + 1)) : undefined;
  };
}

/** A column's name as names are compared: `Correct Answer` as `correct_answer`. */
export function normal(key: string): string {
  return key.trim().toLowerCase().replaceAll(/[\s-]+/g, "_");
}

/** A cell with the key that it was found by. */
export interface Cell {
  readonly key: string;
  readonly value: unknown;
}

/** The cells that a row has under some keys. */
export function cellsAt(find: Find, keys: readonly string[]): Cell[] {
  return keys.map((key) => ({ key, value: find(key) })).filter(({ value }) => value !== undefined);
}

/** The first cell that fits, or else the first that is not blank, or else the first. */
export function pick(
  cells: readonly Cell[],
  fits: (value: unknown) => boolean,
): Cell | undefined {
  const full = cells.filter(({ value }) => !isBlank(value));
  return full.find(({ value }) => fits(value)) ?? full[0] ?? cells[0];
}

/** Whether a cell is there and empty. */
export function isBlank(value: unknown): boolean {
  return typeof value === "string"
    ? value.trim() === ""
    : Array.isArray(value) && value.length === 0;
}

/** A nested value that was written into its cell as JSON. */
export function fromJson(value: unknown): unknown {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return exactJson(value);
  } catch {
    return value;
  }
}
