/**
 * Changes that certainly change the value of a gold answer. Where one might not (a factor of zero, a
 * constant of integration, a bracket at infinity), it is not made.
 *
 * @module
 */
import type { Gold, Token } from "./gold.ts";

/** All the answers that a kind of change makes of a gold answer. */
export type Mutation = (gold: Gold) => string[];

/** The texts in which one token is replaced. */
function replaceEach(
  { tokens }: Gold,
  change: (token: Token, at: number, all: readonly Token[]) => readonly string[],
): string[] {
  return tokens.flatMap((token, at) =>
    change(token, at, tokens).map((text) =>
      tokens.map((each, i) => i === at ? text : each.text).join("")
    )
  );
}

/** Where an unchanged value is possible: sums of zero, arbitrary constants, prose. */
const ARBITRARY = /\\binom|[cC]_|[cC](?![a-zA-Z])|[kK]_|(?<![\d.])0(?![\d.])|\\(?:ln|log)/;
const isSafe = ({ core, isProse }: Gold) => !isProse && !ARBITRARY.test(core);

const before = (all: readonly Token[], at: number) =>
  all.slice(0, at).findLast(({ kind }) => kind !== "space")?.text ?? "";

const digits: Mutation = (gold) =>
  // A chain of equal constants may stay true: i^{117} = i, and i^{217} = i.
  /\\binom|=.*=/.test(gold.core) ? [] : replaceEach(gold, ({ kind, text }, at, all) => {
    const isBaseOfZero = /^\^\s*\{?\s*0/.test(
      all.slice(at + 1, at + 6).map(({ text }) => text).join(""),
    );
    // Constants of integration may have any number.
    const isIndex = /[cCkK]_\{?$/.test(
      all.slice(0, at).map(({ text }) => text).join("").replaceAll(" ", ""),
    );
    if (kind !== "number" || isBaseOfZero || isIndex) return [];
    return Array.from(text, (c, i) => {
      if (!/\d/.test(c) || /[eE]/.test(text)) return [];
      const other = c === "9" ? "4" : String(Number(c) + 1);
      return [text.slice(0, i) + other + text.slice(i + 1)];
    }).flat();
  });

/** The sign of the whole value. */
const sign: Mutation = ({ core, isValue }) => {
  if (!isValue || /^[-+]?0*\.?0*$/.test(core) || /^[A-Za-z]$/.test(core)) return [];
  if (/^[−-]/.test(core)) {
    return [/[+\-−]/.test(core.slice(1)) ? `-(${core})` : core.slice(1).trim()];
  }
  return [/[+\-−]/.test(core.replace(/\{[^{}]*\}/g, "")) ? `-(${core})` : `-${core}`];
};

/** The sign between two terms. */
const innerSign: Mutation = (gold) =>
  isSafe(gold) && gold.isValue
    ? replaceEach(gold, ({ text }, at, all) => {
      if (!/^[+\-−]$/.test(text) || /^$|[([{=,<>^_|+\-]$/.test(before(all, at))) return [];
      return [text === "+" ? "-" : "+"];
    })
    : [];

const plusOne: Mutation = ({ core, isValue }) =>
  isValue && !/^[A-Z]$/.test(core)
    ? [`${core}+1`, `1+${core.startsWith("-") ? `(${core})` : core}`]
    : [];

const swappedFraction: Mutation = ({ core, isProse }) =>
  isProse || /[=<>]|\\(?:leq?|geq?|ln|log)/.test(core)
    ? []
    : Array.from(core.matchAll(/\\[dt]?frac ?\{(\d+)\} ?\{(\d+)\}/g))
      .filter(([, num, den]) => BigInt(num) !== BigInt(den) && BigInt(num) !== 0n)
      .map(({ 0: all, 1: num, 2: den, index }) =>
        `${core.slice(0, index)}\\frac{${den}}{${num}}${core.slice(index + all.length)}`
      );

const exponent: Mutation = (gold) => {
  if (!isSafe(gold) || /[=]/.test(gold.core)) return [];
  return replaceEach(gold, ({ kind, text }, at, all) => {
    if (kind !== "number" || !/^\d+$/.test(text)) return [];
    const braced = all[at - 1]?.text === "{" && all[at + 1]?.text === "}";
    const hat = braced ? at - 2 : at - 1;
    if (all[hat]?.text !== "^" || /^1$|^$/.test(before(all, hat))) return [];
    const raised = String(BigInt(text) + 2n);
    return [braced || raised.length === 1 ? raised : `{${raised}}`];
  });
};

/** The parts between the commas of the outermost bracket, with where they begin. */
function elements(core: string): { from: number; to: number }[] {
  const parts: { from: number; to: number }[] = [];
  const opening = /^(?:\\left ?)?(?:\\\{|[([])/.exec(core)?.[0] ?? "";
  const end = core.length - (/(?:\\right ?)?(?:\\\}|[)\]])$/.exec(core)?.[0].length ?? 0);
  let depth = 0, from = opening === "" ? 0 : opening.length;
  const stop = opening === "" ? core.length : end;
  for (let i = from; i < stop; i++) {
    if (core[i] === "\\" && /[^a-zA-Z{}]/.test(core[i + 1] ?? "")) i++;
    else if (/[([{]/.test(core[i])) depth++;
    else if (/[)\]}]/.test(core[i])) depth--;
    else if (core[i] === "," && depth === 0) {
      parts.push({ from, to: i });
      from = i + 1;
    }
    if (depth < 0) return [];
  }
  return [...parts, { from, to: stop }];
}

/** Digits on both sides of a comma may be one number. */
const isList = (gold: Gold) =>
  !gold.isProse && !gold.isMixed &&
  !/\\(?:text|quad|mbox|begin|ldots|cdots|dots|pm|infty|cup|in|sum|max|min|gcd)|=|,\s*\\|\\!|\{,\}|[<>]/
    .test(gold.core) &&
  elements(gold.core).length > 1 && !/\d,\d{3}(?!\d)/.test(gold.core);

const element: Mutation = (gold) => {
  if (!isList(gold)) return [];
  const { core } = gold;
  return elements(core)
    .filter(({ from, to }) => !/^[\s([]|[A-Z]/.test(core.slice(from, to).trim()))
    .map(({ to }) => `${core.slice(0, to).trimEnd()}+1${core.slice(to)}`);
};

const extraElement: Mutation = (gold) => {
  const { core, isValue } = gold;
  if (isValue && !/^[A-Z]$/.test(core)) {
    const other = core.includes("97") ? 83 : 97;
    return [`${core}, ${other}`, `${other}, ${core}`, `${core} \\text{ or } ${other}`];
  }
  if (!isList(gold)) return [];
  const last = elements(core).at(-1)!;
  return [`${core.slice(0, last.to)}, 97${core.slice(last.to)}`];
};

const missingElement: Mutation = (gold) => {
  if (!isList(gold)) return [];
  const parts = elements(gold.core);
  const last = parts.at(-1)!;
  const texts = parts.map(({ from, to }) => gold.core.slice(from, to).replace(/\s/g, ""));
  // A repeated element may go from a set.
  if (new Set(texts).size < texts.length) return [];
  return [gold.core.slice(0, last.from - 1) + gold.core.slice(last.to)];
};

/** A bracket of an interval, but not at an infinite end. */
const bracket: Mutation = ({ core, isProse, isMixed }) => {
  const isInterval = /[[(][^()[\]]*\)|[[(][^()[\]]*\]/.test(core) &&
    (/\\infty/.test(core) || /^\\left\[|^\[|\]$/.test(core)) &&
    !/\^|\\begin|=|\\(?:sin|cos|ln|log|text)/.test(core);
  if (isProse || isMixed || !isInterval || elements(core).length !== 2) return [];
  if (/\\cup|\\cap/.test(core)) return [];
  const opening = /^(?:\\left ?)?([([])/.exec(core), closing = /(?:\\right ?)?([)\]])$/.exec(core);
  if (!opening || !closing) return [];
  const [first, second] = elements(core).map(({ from, to }) => core.slice(from, to));
  const inner = `${first},${second}`;
  const out: string[] = [];
  if (!first.includes("\\infty")) {
    out.push(`${opening[1] === "(" ? "[" : "("}${inner}${closing[1]}`);
  }
  if (!second.includes("\\infty")) {
    out.push(`${opening[1]}${inner}${closing[1] === ")" ? "]" : ")"}`);
  }
  return out;
};

const RELATIONS: Readonly<Record<string, readonly string[]>> = {
  "<": ["\\le ", ">"],
  ">": ["\\ge ", "<"],
  "\\le": ["<", "\\ge "],
  "\\leq": ["<", "\\geq "],
  "\\leqslant": ["<"],
  "\\ge": [">", "\\le "],
  "\\geq": [">", "\\leq "],
  "\\geqslant": [">"],
  "≤": ["<", "≥"],
  "≥": [">", "≤"],
  "\\ne": ["="],
  "\\neq": ["="],
};

const relation: Mutation = (gold) =>
  gold.isProse
    ? []
    : replaceEach(gold, ({ kind, text }) =>
      kind !== "words" && Object.hasOwn(RELATIONS, text) ? RELATIONS[text] : []);

/** One occurrence of a variable; all of them would be another name for the same function. */
const variable: Mutation = (gold) => {
  if (
    gold.isProse || gold.choices || /\\(?:circ|degree|frac\{d|sum|prod|int|lim)/.test(gold.core)
  ) return [];
  const used = new Set(gold.core.match(/[a-zA-Z]/g));
  const [fresh] = [..."zvwq"].filter((c) => !used.has(c));
  if (fresh === undefined) return [];
  return replaceEach(gold, ({ kind, text }, at, all) => {
    if (kind !== "letters" || text.length > 1 || /[eidcCAD]/.test(text)) return [];
    // A capital in front of a bracket may be the name of a point.
    if (/^[A-Z]$/.test(text) && all[at + 1]?.text === "(") return [];
    // Behind a number it might be a unit.
    return all[at - 1]?.text === "_" ? [] : [fresh];
  });
};

const tenfold: Mutation = (gold) => {
  const { core, isConstant } = gold;
  if (!isConstant || !/[1-9]/.test(core)) return [];
  const out = [`10 \\cdot ${core.startsWith("-") || /[+\-]/.test(core) ? `(${core})` : core}`];
  if (/^-?\d+$/.test(core)) out.push(`${core}0`, `${core.slice(0, -1)}.${core.slice(-1)}`);
  if (/^-?\d+\.\d+$/.test(core)) {
    out.push(core.replace(/\.(\d)/, "$1."), core.replace(".", ""));
  }
  return out;
};

/** A long number cut into a list at its thousands, either way round. */
const cutNumber: Mutation = ({ core }) => {
  const whole = core.replace(/,\\!|\{,\}|,/g, "");
  if (!/^[1-9]\d{3,8}$/.test(whole) || !/^\d[\d,\\!{}]*$/.test(core)) return [];
  const [head, tail] = [whole.slice(0, -3), whole.slice(-3)];
  return [
    `${tail}, ${head}`,
    `(${head}, ${tail})`,
    `\\{${head}, ${tail}\\}`,
    `${head} \\text{ and } ${tail}`,
  ];
};

/** All changes by name. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  "digit": digits,
  "sign": sign,
  "inner sign": innerSign,
  "plus one": plusOne,
  "fraction swapped": swappedFraction,
  "exponent": exponent,
  "element": element,
  "extra element": extraElement,
  "element missing": missingElement,
  "bracket": bracket,
  "relation": relation,
  "variable": variable,
  "tenfold": tenfold,
  "number cut": cutNumber,
};
