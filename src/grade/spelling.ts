/**
 * One spelling of what people write in many ways: commands, characters beyond ASCII, digit groups,
 * markup around an answer. Nothing here decides what an answer means.
 *
 * @module
 */
import { SPELLING } from "./characters.ts";

/** Commands, and every character beyond ASCII. */
const WORDS = /\\(?:left|right) ?\.|\\[a-zA-Z]+|\\[^a-zA-Z]|[$~]|[^\n -}]/g;

/** Functions that people write upright: `\operatorname{arctan}`, `\text{ln}(2)`. */
const UPRIGHT = "arcsin|arccos|arctan|arccot|arcsec|arccsc|arsinh|arcosh|artanh|sinh|cosh|tanh|" +
  "coth|sech|csch|sin|cos|tan|cot|sec|csc|log|lg|ln|exp|cis|lcm|gcd|det|min|max";
const OPERATOR = new RegExp(`\\\\operatorname\\*? ?\\{ ?(${UPRIGHT}) ?\\}`, "g");
// In front of an argument only: "5 \text{ sec}" are seconds.
const UPRIGHT_TEXT = new RegExp(
  `\\\\(?:text|mathrm|textrm|mbox|rm) ?\\{(${UPRIGHT})\\}(?= ?(?:\\\\[,;! ])* ?(?:\\(|\\\\left|` +
    "\\\\[a-z]|\\{|[a-z0-9](?![a-z])|[_^]))",
  "g",
);

/** The index behind the brace or bracket that closes the one at `open`, or -1. */
function closingIndex(text: string, open: number): number {
  const [opening, closing] = text[open] === "{" ? ["{", "}"] : ["(", ")"];
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === opening) depth++;
    else if (text[i] === closing && --depth === 0) return i + 1;
  }
  return -1;
}

/** Markup that says nothing when it stands around a whole answer. */
const AROUND =
  /^(?:\\(?:mathbf|boldsymbol|bm|pmb|textbf|underline|emph|boxed|fbox|text|mathrm|textrm|mbox|displaystyle|color ?\{\w+\}|textcolor ?\{\w+\}) ?)?\{/;
/** What stands in it may be words, which stay words. */
const AROUND_WORDS = /^\\(?:text|textbf|mathrm|textrm|mbox|emph) ?\{/;
const MAX_WRAPPINGS = 8;

/** The answer without dollar signs, brackets of formulas, bold or boxes around all of it. */
function unwrap(latex: string): string {
  let text = latex.trim().replace(/(?<!\\)\\$/, "");
  for (let i = 0; i < MAX_WRAPPINGS; i++) {
    const before = text;
    const delimited =
      /^(?:\$\$([^$]*)\$\$|\$([^$]*)\$|\\\(((?:(?!\\\)).)*)\\\)|\\\[((?:(?!\\\]).)*)\\\]|\*\*((?:(?!\*\*).)+)\*\*)\.?$/s
        .exec(text);
    if (delimited) text = (delimited.slice(1).find((each) => each !== undefined) ?? "").trim();
    const around = AROUND.exec(text);
    if (around && isAround(text, around[0])) {
      text = text.slice(around[0].length).replace(/\}\.?$/, "").trim();
    }
    if (text === before) break;
  }
  return text.replace(/^\\color ?\{\w+\}/, "");
}

function isAround(text: string, opening: string): boolean {
  const end = closingIndex(text, opening.length - 1);
  if (end < 0 || (end < text.length && text.slice(end) !== ".")) return false;
  // Words stay marked as words; mathematics in a text command does not.
  return !AROUND_WORDS.test(opening) ||
    /[$\\^_=]|^[-+]?\d/.test(text.slice(opening.length, end - 1));
}

/** The contents of several boxes side by side, as a list. */
function unboxAll(text: string): string {
  if (!text.includes("\\boxed")) return text;
  const contents: string[] = [];
  let rest = "";
  for (let at = 0; at < text.length;) {
    const box = /\\boxed ?\{/g;
    box.lastIndex = at;
    const match = box.exec(text);
    const end = match ? closingIndex(text, match.index + match[0].length - 1) : -1;
    if (!match || end < 0) {
      rest += text.slice(at);
      break;
    }
    rest += text.slice(at, match.index);
    contents.push(text.slice(match.index + match[0].length, end - 1));
    at = end;
  }
  return contents.length > 0 && !/[A-Za-z\d]/.test(rest) ? contents.join(", ") : text;
}

/** `\sqrt(...)` with braces; TeX would take the bracket alone. */
function braceRoots(text: string): string {
  for (let at = 0; (at = text.indexOf("\\sqrt", at)) >= 0; at++) {
    const open = /^\\sqrt ?\(/.exec(text.slice(at, at + 7));
    if (!open) continue;
    const from = at + open[0].length - 1;
    const end = closingIndex(text, from);
    if (end < 0) continue;
    text = `${text.slice(0, at)}\\sqrt{${text.slice(from + 1, end - 1)}}${text.slice(end)}`;
  }
  return text;
}

/** A separator of digit groups, as it is before spacing commands go. */
const GROUP = "(?:\\\\[,;: ]|[ ~\u00a0\u2009\u202f]| ?\\{ ?\\\\?, ?\\} ?| ?, ?\\\\! ?)";
const GROUPED = new RegExp(`(?<![\\w.^_}])([1-9]\\d{0,2})((?:${GROUP}\\d{3})+)(?!\\d| ?/)`, "g");

/** Digits without the separators of their groups; a comma between digits stays where it may separate. */
function joinDigitGroups(text: string): string {
  return text
    .replace(GROUPED, (_, first: string, rest: string) => first + rest.replace(/\D/g, ""))
    .replace(/\{ ?, ?\}|, ?\\!/g, ",");
}

const DECIMAL_DOTS = /(\d*\.)(\d+) ?(?:\.\.\.|\\l?dots(?![a-z])|\\cdots|…)/g;

/** Periods of decimals: `0.\bar{3}`, `0.\dot{1}4\dot{2}`, and `0.333...` where the period shows. */
function spellPeriods(text: string): string {
  if (!text.includes(".")) return text;
  return text
    .replace(/(\.\d*) ?\\dot ?\{?(\d)\}?(\d*) ?\\dot ?\{?(\d)\}?/g, "$1\\overline{$2$3$4}")
    // "0.2(3)", but "1.5(2)(3)" and "1.5(2)^2" are products.
    .replace(/(?<![\w.])(\d*\.\d*)\((\d+)\)(?!\d| ?[(^!])/g, "$1\\overline{$2}")
    .replace(/(\.\d*) ?\\(?:bar|dot|overline) ?(?:\{ ?(\d+) ?\}|(\d))/g, "$1\\overline{$2$3}")
    .replace(DECIMAL_DOTS, (all, whole: string, digits: string) => {
      for (let length = 1; length <= digits.length / 2; length++) {
        const period = digits.slice(-length);
        const repeats = length === 1 ? 3 : 2;
        if (!digits.endsWith(period.repeat(repeats))) continue;
        return `${whole}${digits.slice(0, -length * repeats)}\\overline{${period}}`;
      }
      return all;
    });
}

const VECTOR = /\\(?:vec|overrightarrow|mathbf|boldsymbol|bm|hat|pmb) ?\{? ?[a-zA-Z\\]/;

/** One sign for the product; that of two vectors or matrices is another one than the dot. */
function spellTimes(text: string): string {
  if (!text.includes("\\times")) return text;
  if (VECTOR.test(text)) return text.replace(/(?<=\d ?)\\times |\\times (?=\d)/g, "\\cdot ");
  return text.replace(/(?<!\\end ?\{[a-zA-Z]{5,11}\} ?)\\times |\\times (?!\\begin)/g, "\\cdot ");
}

/** A time of day: `3:00 p.m.`, `3 \text{ PM}`; without minutes or words, a whole answer only. */
const TIME =
  /(?<![\w.:])(\d\d?)(?::(\d\d))? ?(?:\\(?:text|mathrm|textrm|mbox) ?\{ ?)?([AP])M(?: ?\})?(?![A-Za-z])/g;
const DATE = /^(?:\d{4}-[01]?\d-[0-3]?\d|[0-3]?\d\/[0-3]?\d\/\d{4})$/;

/** Times and dates as words: their letters and signs are no product, ratio or difference. */
function spellTimesOfDay(text: string): string {
  if (DATE.test(text)) return `\\text{${text}}`;
  if (!/\d.*[ap]\.? ?m/i.test(text)) return text;
  return text
    .replace(
      /(\d|\{|\s)([AaPp])\. ?[Mm]\.?/g,
      (_, before, half) => `${before}${half.toUpperCase()}M`,
    )
    .replace(
      /(\d ?(?:\\text ?\{ ?)?)([ap])m(?![a-z])/g,
      (_, before, half) => `${before}${half.toUpperCase()}M`,
    )
    .replace(TIME, (all, hours: string, minutes: string | undefined, half: string) => {
      // In "2AM = BM" a segment has an end M.
      if (minutes === undefined && all !== text && !all.includes("{")) return all;
      const at = minutes === undefined || minutes === "00" ? "" : `:${minutes}`;
      return `\\text{${hours.replace(/^0(?=\d)/, "")}${at} ${half}M}`;
    });
}

/** `C_{10}^{3}` and `{}_{10}C_3`: numbers of choices, and `{}_{10}P_3` of arrangements. */
function spellChoices(text: string): string {
  const out = text.replace(
    /(?:\{ ?\})?[_^] ?(?:\{ ?(\w+) ?\}|(\w)) ?C ?_ ?(?:\{ ?(\w+) ?\}|(\w))/g,
    "\\binom{$1$2}{$3$4}",
  ).replace(
    /(?:\{ ?\})_ ?\{? ?(\d{1,4}) ?\}? ?P ?_ ?\{? ?(\d{1,4}) ?\}?/g,
    (all, n, k) => Number(k) > Number(n) ? all : `\\frac{${n}!}{${Number(n) - Number(k)}!}`,
  );
  // Beside variables C_2 is a constant.
  if (/[a-zA-Z]/.test(out.replace(/\\[a-z]+/g, "").replace(/C ?_ ?\{? ?\d+ ?\}? ?\^/g, ""))) {
    return out;
  }
  return out.replace(
    /C ?_ ?\{? ?(\d+) ?\}? ?\^ ?(?:\{ ?(\d+) ?\}|(\d)(?!\d))/g,
    (all, n, braced, k = braced) => Number(k) > Number(n) ? all : `\\binom{${n}}{${k}}`,
  );
}

/** `]2, 5[` with the brackets of `(2, 5)`. */
function spellIntervals(text: string): string {
  if (!/^\]|[ =]\]|\[$/.test(text) || !text.includes(",")) return text;
  return text.replace(
    /([[\]])([^[\](),]*,[^[\](),]*)([[\]])/g,
    (_, open, inner, close) => (open === "]" ? "(" : "[") + inner + (close === "[" ? ")" : "]"),
  );
}

/** Ways of writing that only some answers have, each behind a cheap test. */
function spellRareForms(text: string): string {
  let out = spellTimesOfDay(text);
  if (/[<>!=]=/.test(out)) {
    // "n!=6" is a factorial.
    out = out.replace(/<=/g, "\\leq ").replace(/>=/g, "\\geq ").replace(/ !=(?!=)/g, "\\neq ")
      .replace(/==/g, "=");
  }
  if (out.includes("not")) out = out.replace(/\\not ?=/g, "\\neq ");
  if (/[xX] ?10 ?\^/.test(out)) out = out.replace(/(\d) ?[xX] ?(?=10 ?\^)/g, "$1 \\cdot ");
  if (out.includes("arrow")) out = out.replace(/(?<![a-zA-Z\\])arrow(?![a-z])/g, "\\to ");
  if (out.includes("prime")) {
    out = out.replace(
      /\^ ?(?:\{ ?((?:\\prime ?)+)\}|(\\prime))/g,
      (_, many?: string) => "'".repeat((many ?? "x").match(/\\prime/g)?.length ?? 1),
    );
  }
  if (out.includes("over ") || out.includes("choose")) {
    out = out.replace(/\{([^{}]*)\\over ([^{}]*)\}/g, "\\frac{$1}{$2}")
      .replace(/\{([^{}]*)\\choose ([^{}]*)\}/g, "\\binom{$1}{$2}");
  }
  if (out.includes(")/(")) {
    out = out.replace(/\(\(([^()]*)\)\/\(([^()]*)\)\)/g, "\\frac{$1}{$2}");
  }
  if (/[CP] ?_/.test(out)) out = spellChoices(out);
  // "5 \text{ cm and } 6 \text{ cm}", "5 \text{ cm, } 6 \text{ cm}"
  if (/(?: (?:and|or)|,) ?\}/.test(out)) {
    out = out.replace(
      /(?<=[\d})] ?)\\text ?\{( ?[a-z]{1,20})(?: (and|or)|,) ?\}/g,
      (_, unit, word) => `\\text{${unit}}${word ? ` \\text{ ${word} }` : ", "}`,
    );
  }
  if (out.includes("**")) out = out.replace(/(?<=[\w)}] ?)\*\* ?(?=[-\w({\\])/g, "^");
  if (out.includes(")_")) out = out.replace(/^\((\w+)\)(?=_)/, "$1");
  if (/[[\]]/.test(out)) out = spellIntervals(out);
  if (/(?:np|math)\./.test(out)) out = out.replace(/(?<![a-z])(?:np|numpy|math)\.(?=[a-z])/g, "");
  if (/\\(?:hspace|tag)/.test(out)) out = out.replace(/\\(?:hspace|tag)\*? ?\{[^{}]*\}/g, " ");
  if (out.includes("sqrt")) out = braceRoots(out);
  return out;
}

/** Drops the full stop of a sentence, but not the dots of an unfinished decimal. */
export function dropPeriod(text: string): string {
  if (!text.endsWith(".")) return text;
  return text.endsWith("..") ? text.replace(/(?<=[^.\d])\.\.$/, "") : text.slice(0, -1).trimEnd();
}

/** Longer texts are spelled word by word only: what looks further takes time by the square of the length. */
const MAX_CHARS = 2000;

/**
 * One spelling of every command, single spaces, no markup around the whole, no final period.
 *
 * @param latex An answer as it stands in a box or in a data set.
 */
export function respell(latex: string): string {
  if (/^[-+]?\d+(?:\.\d+)?$/.test(latex)) return latex;
  const isShort = latex.length <= MAX_CHARS;
  const words = (isShort ? spellAhead(latex) : latex)
    .replace(
      WORDS,
      (token) => /^\\(?:left|right) ?\.$/.test(token) ? "" : SPELLING.get(token) ?? token,
    )
    .replace(
      / ?([_^]) ?(?:\{ ?([^{}\\]*?) ?\})?/g,
      (all, sign: string, inner?: string) => inner === undefined ? all.trim() : `${sign}{${inner}}`,
    )
    .replace(/\s+/g, " ")
    .trim();
  const text = spellTimes(words);
  if (!isShort) return dropPeriod(text);
  return dropPeriod(unwrapBraces(spellRareForms(text).replace(/  +/g, " ").trim()));
}

/** What must be seen before spacing commands are gone. */
function spellAhead(latex: string): string {
  // "\\frac" is escaped once too often; in a matrix it would be a new line.
  if (latex.includes("\\\\") && !latex.includes("\\begin")) {
    latex = latex.replace(/\\\\(?=[a-zA-Z])/g, "\\");
  }
  // Formulas in lines of their own stand side by side, unless one ends in an operator.
  const lines = latex.replace(/([^\s+\-=*\/,;&{(])\$\s*\n\s*\$(?=[^+\-=*\/,;])/g, "$1, ");
  const spaced = lines.replace(
    /([,;:]|\\\\|&)?\s*(?:\\q?quad(?![a-z])\s*)+(?=(\\text|\\mathrm|[,;()&]|[a-z]{2}|$)?)/g,
    (_, before?: string, after?: string) =>
      before === undefined && after === undefined ? ", " : `${before ?? ""} `,
  );
  return spellPeriods(joinDigitGroups(unboxAll(unwrap(spaced))))
    .replace(/(\d ?)([ckm]?m)(?=[²³])/g, "$1\\text{ $2}")
    .replace(OPERATOR, "\\$1 ")
    .replace(UPRIGHT_TEXT, "\\$1 ");
}

/** Without braces around all of it; `{1, 2, 3}` are meant as those of a set or say nothing. */
function unwrapBraces(text: string): string {
  return text.startsWith("{") && closingIndex(text, 0) === text.length
    ? text.slice(1, -1).trim()
    : text;
}
