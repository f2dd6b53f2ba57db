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
  /^(?:\\text ?\{ ?)?\\?(?:(?:local|global|absolute|relative) )?(min|max)(?:imum|ima)?(?![a-z(])(?: ?\})? ?(?:(?:\\text ?\{ ?)?(?:at|is|value|of)(?: ?\})?(?= |\\|\()|[.:=])? ?(?=.)/i;

/** An answer and the label that it must not contradict. */
export interface Labelled {
  /** `min` or `max`, or "". */
  readonly label: string;
  /** The rest. */
  readonly text: string;
}

/** Takes introducing words from the front of a respelled answer. */
export function splitLabel(text: string): Labelled {
  if (!/^[\\a-zA-Z]/.test(text)) return { label: "", text };
  const bare = text.replace(/^(?:\\approx ?)+/, "").replace(LEAD_IN, "");
  const extremum = EXTREMUM.exec(bare);
  // "min" alone, and "\min(1, 2)", are values.
  if (!extremum || extremum[0].length === bare.length) return { label: "", text: bare };
  if (/^\\(?:min|max) ?$/.test(extremum[0])) {
    const next = bare[extremum[0].length];
    if (next === "(" || next === "_" || next === "\\" || next === "{") {
      return { label: "", text: bare };
    }
  }
  return { label: extremum[1].toLowerCase(), text: bare.slice(extremum[0].length).trim() };
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
/** Words that are written in capitals without being strings of letters. */
const SHOUTED =
  /^(?:YES|NO|TRUE|FALSE|EVEN|ODD|NONE|BOTH|NEITHER|UNDEFINED|NEVER|ALWAYS|SOMETIMES)$/;

/**
 * One case for words, none for symbols and strings of letters: `Evelyn` is `evelyn`, but `ABCD` is not
 * `abcd`. An article in front goes.
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
  const words = text.split(" ").map((word) =>
    /^[A-Z][a-z]+$/.test(word) || SHOUTED.test(word) ? word.toLowerCase() : word
  );
  return (words.length > 1 && /^(?:an?|the)$/.test(words[0]) ? words.slice(1) : words).join(" ");
}

/** A letter of a choice with its option behind: `(B) 5`, `B. 5`, `D \text{ (warm gas)}`. */
const LETTER =
  /^(?:\(([A-J])\)|([A-J])(?:[.:)]|(?= ?\([A-Z]?[a-z]{2})|(?= - [A-Za-z]{3}))) ?(?:\S.*)?$/;

/** The letter of an answer that is a choice, with or without its option; `undefined` for others. */
export function choiceLetter(value: string, spaced: string): string | undefined {
  if (/^[A-Z]$/.test(value)) return value;
  // A small letter is one too, but e is a number.
  if (/^[a-d]$/.test(value)) return value.toUpperCase();
  const [, inBrackets, bare] = LETTER.exec(spaced) ?? [];
  return inBrackets ?? bare;
}
