/**
 * Gold answers cut into tokens: coarse, on purpose not the grader's own, so that the two do not share
 * their mistakes.
 *
 * @module
 */

/** What a token is. `words` are a text command or an environment's name: nothing inside is touched. */
export type TokenKind = "words" | "command" | "number" | "letters" | "sign" | "space";

/** One token; all texts in a row are the gold. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

const TOKEN = new RegExp(
  [
    "(?<words>\\\\(?:text[a-z]*|mbox|hbox|mathrm|mathbf|mathbb|mathcal|operatorname|boldsymbol|rm)" +
    "\\*? ?\\{[^{}]*\\}|\\\\(?:begin|end) ?\\{[a-z]+\\*?\\}(?:\\{[^{}]*\\})?|\\\\\\\\\\[[^\\]]*\\])",
    "(?<command>\\\\[a-zA-Z]+|\\\\[^])",
    "(?<number>\\d+(?:\\.\\d+)?(?:[eE][+-]?\\d+)?|\\.\\d+)",
    "(?<letters>[a-zA-Z]+)",
    "(?<space>\\s+)",
    "(?<sign><=|>=|!=|[^])",
  ].join("|"),
  "g",
);

/** The tokens of a text. */
export function tokens(text: string): Token[] {
  return Array.from(text.matchAll(TOKEN), ({ groups }) => {
    const [kind, found] = Object.entries(groups!).find(([, each]) => each !== undefined)!;
    return { kind: kind as TokenKind, text: found };
  });
}

/** A gold answer and what can be done to it. */
export interface Gold {
  /** As it stands in the file. */
  readonly text: string;
  /** Without the dollar signs around all of it. */
  readonly core: string;
  readonly tokens: readonly Token[];
  /** Holds words outside of text commands, so that spaces and letters carry meaning. */
  readonly isProse: boolean;
  /** Changes between text and formulas: nothing can be put around it. */
  readonly isMixed: boolean;
  /** One number or constant expression, perhaps with a unit. */
  readonly isConstant: boolean;
  /** One value: no relation, list, tuple or word. */
  readonly isValue: boolean;
  /** The options of its question. */
  readonly choices?: Readonly<Record<string, string>>;
}

/** Words that are mathematics without a backslash. */
const FUNCTIONS =
  /^(?:sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|log|ln|exp|sqrt|pi|mod|and|or)$/;
/** Commands and signs that make more than one value of an answer. */
const STRUCTURE = new RegExp(
  "\\\\(?:pm|mp|le|leq|leqslant|ge|geq|geqslant|lt|gt|ne|neq|in|cup|cap|text[a-z]*|mbox|hbox|to|" +
    "begin|quad|qquad|approx|equiv|infty|cdots|ldots|dots|mathrm|mathbf|mathbb|mathcal|sim|mid|\\\\|" +
    "rightarrow|Rightarrow|implies|forall|emptyset|varnothing|\\{|triangle|angle|mathrm|lbrace|" +
    "partial|prime|circ|degree|operatorname|boldsymbol|colon|cong|parallel|perp|overline)" +
    "(?![a-zA-Z])|[=<>,;:%&$'\\[\\]~≤≥≠°]|\\\\\\$",
);

/** Describes a gold answer. */
export function describe(text: string, choices?: Gold["choices"]): Gold {
  const trimmed = text.trim();
  const whole = /^(\$\$?)([^$]+)\1$/.exec(trimmed);
  const core = whole ? whole[2].trim() : trimmed;
  const all = tokens(core);
  const words = all.filter(({ kind, text }) => kind === "letters" && !FUNCTIONS.test(text));
  const isProse = words.some(({ text }) => text.length > 3) ||
    words.filter(({ text }) => text.length > 1).length > 1;
  const structured = STRUCTURE.test(core);
  const isConstant = !isProse && !structured && /\d|\\pi/.test(core) &&
    !all.some(({ kind, text }) =>
      kind === "letters" ? !FUNCTIONS.test(text) : kind === "command" && LETTER.test(text)
    );
  return {
    text,
    core,
    tokens: all,
    isProse,
    isMixed: /(?<!\\)\$/.test(core) || core.includes("\\]") || core.includes("\\)"),
    isConstant,
    isValue: !isProse && !structured && /[\da-z]/.test(core) && choices === undefined,
    ...(choices && { choices }),
  };
}

/** Commands that are variables. */
const LETTER =
  /^\\(?:alpha|beta|gamma|delta|epsilon|varepsilon|theta|lambda|mu|nu|rho|sigma|tau|phi|varphi|omega|ell|hbar|[A-Z][a-z]+)$/;
