/**
 * Answers and parts of answers that are words: what people put in front of a value, phrases with a
 * mathematical meaning, dates and times.
 *
 * @module
 */

/** What introduces an answer and says nothing: "The answer is", "Solution:". */
const LEAD_IN =
  /^(?:\\text ?\{ ?)?(?:(?:the |our |hence |so |thus |therefore,? )?(?:final |correct |exact )?(?:answer|solution|result|value)s?(?: (?:is|are) ?:?| ?:)|hence,?|thus,?|therefore,?|so,)(?: ?\}| |(?<=:)) ?(?=\S)/i;
/** Which extremum a value belongs to: "max at", "minimum: ". */
const EXTREMUM =
  /^(?:\\text ?\{ ?)?\\?(?:(local|global|absolute|relative) )?(min|max)(?:imum|ima)?(?![a-z(])(?: ?\})? ?(?:(?:\\text ?\{ ?)?(?:at|is|value|of)(?: ?\})?(?= |\\|\()|[.:=])? ?(?=.)/i;

/** An answer and the label that it must not contradict. */
export interface Labelled {
  /** `min` or `max`, with `local` or `global` in front where the answer says so; or "". */
  readonly label: string;
  /** The rest. */
  readonly text: string;
}

/** Takes introducing words from the front of a respelled answer. */
export function splitLabel(text: string): Labelled {
  if (!/^[\\a-zA-Z]/.test(text)) return { label: "", text };
  // "\text{Answer: 7}"
  const [, inside] = /^\\text ?\{([^{}]*)\}$/.exec(text) ?? [];
  const open = inside !== undefined && LEAD_IN.test(inside) ? inside : text;
  const bare = open.replace(/^(?:\\approx ?)+/, "").replace(LEAD_IN, "");
  const extremum = EXTREMUM.exec(bare);
  // "min" alone, and "\min(1, 2)", are values.
  if (!extremum || extremum[0].length === bare.length) return { label: "", text: bare };
  if (/^\\(?:min|max) ?$/.test(extremum[0])) {
    const next = bare[extremum[0].length];
    if (next === "(" || next === "_" || next === "\\" || next === "{") {
      return { label: "", text: bare };
    }
  }
  const [all, scope, kind] = extremum;
  const where = scope ? /^[lr]/i.test(scope) ? "local " : "global " : "";
  return { label: where + kind.toLowerCase(), text: bare.slice(all.length).trim() };
}

const NOTHING = /^(?:there (?:is|are) )?no (?:real |such )?(?:solutions?|roots?)(?: exists?)?$/;
const ALL_REALS = /^(?:all|every|any) reals?(?: numbers?)?$|^(?:all )?real numbers$/;

/** Phrases with a mathematical meaning, as LaTeX; `undefined` for other words. */
export function phraseMeaning(words: string): string | undefined {
  const phrase = words.toLowerCase().replace(/\\[{}]|[{}.]/g, " ").replace(/\s+/g, " ").trim();
  if (NOTHING.test(phrase)) return "\\emptyset";
  if (ALL_REALS.test(phrase)) return "\\mathbb{R}";
  if (phrase === "infinity" || phrase === "positive infinity") return "\\infty";
  if (phrase === "negative infinity" || phrase === "minus infinity") return "-\\infty";
  return undefined;
}

const MONTHS =
  "January|February|March|April|May|June|July|August|September|October|November|December";
const DATE = new RegExp(
  `^(?:(${MONTHS}) (\\d{1,2})(?:st|nd|rd|th)?|(\\d{1,2})(?:st|nd|rd|th)?(?: of)? (${MONTHS}))(?:,? (\\d{4}))?$`,
  "i",
);
/** Words that are written in capitals, or are short, without being strings of letters. */
const KNOWN =
  /^(?:yes|no|true|false|even|odd|none|both|neither|undefined|never|always|sometimes|one|two|all|any)$/i;
/** A capital with small letters that no one means as a product: `Mgh` and `Rt` are products. */
const CAPITALIZED = /^(?=.*[aeiouy])[A-Z][a-z]{3,}$|^[BCDFGHJ-NP-TV-Z][aeiou][b-df-hj-np-tv-xz]$/;
/** What follows an article; "a cos x" and "a theta" are products. */
const NOUN = /^(?=.*[aeiouy])[A-Za-z'-]{3,}$/;
const SYMBOLS = new RegExp(
  "^(?:sin|cos|tan|cot|sec|csc|arc[a-z]+|log|exp|sqrt|(?:var)?(?:epsilon|theta|rho|phi|sigma)|alpha|" +
    "beta|gamma|delta|zeta|eta|iota|kappa|lambda|omicron|tau|upsilon|psi|chi|omega)$",
  "i",
);

/**
 * One case for words, none for symbols and strings of letters: `Evelyn` is `evelyn`, but `ABCD` is not
 * `abcd`, and `Mg` not `mg`. An article in front goes.
 *
 * @param text An answer without text commands, spaces kept.
 */
export function foldWords(text: string): string {
  if (!/^[A-Za-z\d]/.test(text)) return text;
  const date = DATE.exec(text);
  if (date) {
    const [, month, day, otherDay, otherMonth, year = ""] = date;
    return `${(month ?? otherMonth).toLowerCase()} ${day ?? otherDay} ${year}`.trim();
  }
  if (!/^[A-Za-z][A-Za-z'-]*(?: [A-Za-z'-]+)*$/.test(text)) return text;
  const words = text.split(" ");
  const isPhrase = words.length > 1 && words.some((word) => word.length > 3 && NOUN.test(word));
  const folded = words.map((word) =>
    CAPITALIZED.test(word) || KNOWN.test(word) || (isPhrase && /^[A-Z][a-z]+$/.test(word))
      ? word.toLowerCase()
      : word
  );
  const [first, ...rest] = folded;
  const isArticle = rest.length > 0 && /^(?:an?|the)$/i.test(first) &&
    rest.some((word) => NOUN.test(word)) &&
    (/^the$/i.test(first) || rest.every((word) => word.length > 1 && !SYMBOLS.test(word)));
  return (isArticle ? rest : folded).join(" ");
}

/** A letter of a choice with its option behind: `(B) 5`, `B. 5`, `D \text{ (warm gas)}`. */
const LETTER = /^(?:\(([A-J])\)|([A-J])(?:[.:)]|(?= ?\([A-Z]?[a-z]{2})|(?= - [A-Za-z]{3})))(.*)$/;
const NAMED_LETTER = /^(?:option|choice) ?\(?([A-J])\)?$/i;

/** What stands behind a letter and makes it more than a choice: an operator, a judgement. */
const CONTINUED = new RegExp(
  "^(?:[-+*/^_=<>!?,;&'\\]]|\\{ ?\\}|\\\\(?:cdot|times|div|pm|mp|cup|cap|leq|geq|neq|to|approx|in|wedge|vee)" +
    "(?![a-z])|(?:or|and|nor|but|if|is|are|was|isn't|wrong|incorrect|false|unless|only if|(?:not|cannot be|can't be) (?:correct|right|true))" +
    "(?![a-z-]))",
  "i",
);
/** Another letter behind the first one: `(A) 5, (B) 6`, `A. C. D.`, `(A) rather than B`. */
const OTHER_LETTER = new RegExp(
  "(?<![\\w)])\\([A-J]\\)(?!-)|(?<![A-Za-z])[A-J][.:)](?= |$|[A-J])|^[A-HJ](?:[ ,.;:/&]+[A-HJ])*[.:)]?$|" +
    "(?:(?<![a-z])(?:or|and|nor|not|but|than)|[,&/]) ?\\(?[A-HJ]\\)?\\.?$",
);

/**
 * Whether a text behind the letter of a choice can be its option, and neither goes on with the letter
 * nor names another one.
 *
 * @param rest What stands behind, with the space in front of it.
 */
export function isOption(rest: string): boolean {
  const text = rest.trim();
  if (text === "" || /^- [A-Za-z]{3}/.test(text)) return !OTHER_LETTER.test(text);
  // "(B)x" is a product; "(B) -5" gives a negative number.
  if (rest === text && /^[A-Za-z](?![a-z]{2})/.test(text)) return false;
  const body = rest !== text ? text.replace(/^[-+](?=[\d\\.a-z(])/, "") : text;
  return !CONTINUED.test(body) && !OTHER_LETTER.test(text);
}

/** The letter of an answer that is a choice, with or without its option; `undefined` for others. */
export function choiceLetter(value: string, spaced: string): string | undefined {
  if (/^[A-Z]$/.test(value)) return value;
  // A small letter is one too, but e is a number.
  if (/^[a-d]$/.test(value)) return value.toUpperCase();
  const [, inBrackets, bare, rest] = LETTER.exec(spaced) ?? [];
  if (rest !== undefined) return isOption(rest) ? inBrackets ?? bare : undefined;
  return NAMED_LETTER.exec(spaced)?.[1].toUpperCase();
}
