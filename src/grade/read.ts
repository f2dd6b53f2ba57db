/**
 * From the text of an answer to its canonical form, also where the left side of an equation cannot be
 * read but only names the value.
 *
 * @module
 */
import { type Canonical, canonical } from "./canonical.ts";
import type { Node } from "./node.ts";
import type { NormalForm } from "./normalize.ts";
import { parseAnswer } from "./parse.ts";
import { phraseMeaning } from "./words.ts";

/** Whether both halves of an answer that is given twice say the same. */
export type Agree = (a: Canonical, b: Canonical) => boolean;

/** The texts left and right of the only `=`. */
export function sidesOf(source: string): readonly [string, string] | undefined {
  const sides = source.split("=").map((side) => side.replaceAll(" ", ""));
  return sides.length === 2 && sides[0] !== "" && sides[1] !== ""
    ? [sides[0], sides[1]]
    : undefined;
}

/** What a text means: by its grammar, or as a phrase. */
function tree(text: string): Node | undefined {
  const meaning = /[a-z]{2}/.test(text) ? phraseMeaning(text.replace(/\\text ?/g, "")) : undefined;
  return parseAnswer(meaning ?? text);
}

/** An answer in canonical form; one that is given twice (`x > 2 : (2, \infty)`) must agree with itself. */
export function read(form: NormalForm, agree: Agree): Canonical | undefined {
  const { name, number } = form;
  // Whoever writes "\pi \approx 3" means \pi.
  const source = form.source.replace(/^(\\pi|e) ?\\approx ?\d+$/, "$1");
  // "58,500" is a number and no list.
  if (number) return { name, value: { type: "num", value: number } };
  const halves = source.split(":", 3);
  if (halves.length === 2) {
    const [one, other] = halves.map(tree).map((half) => half && canonical(half));
    if (one && other && (isRegion(one.value) || isRegion(other.value))) {
      return agree(one, other) ? one : undefined;
    }
  }
  const whole = tree(source);
  return whole ? canonical(whole) : readQuantity(source);
}

function isRegion(node: Node): boolean {
  return node.type === "union" || node.type === "set" ||
    (node.type === "tuple" && node.close !== ":");
}

/** Words on a left side that make it no mere name: conditions, and what is done with the value. */
const LIMITING = new RegExp(
  "(?<![a-z])(?:not|if|when|unless|except|without|for|where|since|because|or|wrong|incorrect|" +
    "twice|thrice|minus|plus|(?:doubl|tripl|quadrupl|halv|squar|cub|multipli|divid|increas|decreas|" +
    "reduc|negat)ed|double|triple|(?<!number of )times|(?:square|cube) root|" +
    "sqrt of|its (?:square|cube|half|double)|(?:one|two|three|four|five)[ -](?:half|halves|thirds?|quarters?|fourths?|fifths?)|" +
    "half(?!-? ?life)|(?:third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth|hundredth)s? of|" +
    "(?:opposite|negative|reciprocal|inverse|square|cube|percent|multiple) of|(?:less|more) than|" +
    "modulo|mod)(?![a-z])|\\\\?% ?(?:\\\\text ?\\{ ?)?of(?![a-z])",
  "i",
);

/** Numbers on a left side with which something is still to be done. */
const SOLVABLE = /[-+*\/^] ?\d|\d ?[-+*\/]|\\(?:cdot|div) ?\d|\d ?\\(?:cdot|div)/;

/** Words of a left side; more of them are a sentence. */
const MAX_WORDS = 5;

/** `\angle A = 5`, `P(X = 1) = \frac12`: a left side that is not read, but only names the value. */
function readQuantity(source: string): Canonical | undefined {
  const at = outermostEquals(source);
  if (at < 0) return undefined;
  const left = source.slice(0, at).trim(),
    right = source.slice(at).replace(/^(?:=|\\approx) ?/, "");
  // "2 |AB| = 6" wants to be solved.
  if (/^[-+\d]|^\\(?:d?frac|sqrt)/.test(left) || SOLVABLE.test(outermost(left))) return undefined;
  if (left === "" || LIMITING.test(left) || !/[a-zA-Z]/.test(left)) return undefined;
  // A sentence says more than what the value is of.
  const words = left.replace(/\\[a-zA-Z]+/g, " ").match(/[A-Za-z]{2,}/g) ?? [];
  if (words.length > MAX_WORDS || /[.!?:] /.test(left)) return undefined;
  if (/,|;|\\(?:leq|geq|neq|in|Rightarrow|to)(?![a-z])|[<>]/.test(outermost(left))) {
    return undefined;
  }
  const value = tree(right);
  if (!value) return undefined;
  const inner = canonical(value);
  return inner.name === ""
    ? { name: `"${left.replaceAll(" ", "")}"`, value: inner.value }
    : undefined;
}

/** The text with everything inside of brackets and braces blanked. */
function outermost(text: string): string {
  let depth = 0, outer = "";
  for (const c of text) {
    if (/[)\]}]/.test(c)) depth--;
    outer += depth === 0 ? c : " ";
    if (/[([{]/.test(c)) depth++;
  }
  return outer;
}

function outermostEquals(source: string): number {
  const outer = outermost(source);
  return Math.max(outer.lastIndexOf("="), outer.lastIndexOf("\\approx"));
}
