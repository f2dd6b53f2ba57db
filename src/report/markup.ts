/**
 * HTML and SVG as text that cannot be broken by what it shows.
 *
 * @module
 */

/** A piece of HTML or SVG. Only {@linkcode markup} makes one, and it escapes all text on its way in. */
export class Markup {
  /** The HTML or SVG itself. */
  readonly text: string;

  /**
   * Takes text as markup.
   *
   * @param text Well-formed HTML or SVG, whose texts are escaped.
   */
  constructor(text: string) {
    this.text = text;
  }

  /** The same as `text`. */
  toString(): string {
    return this.text;
  }
}

/** What may stand in a template: text and numbers are escaped, markup is taken as it is. */
export type Content = string | number | undefined | Markup | readonly Content[];

const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Text as it may stand in element content and in quoted attributes, in HTML and in XML. What no document
 * may hold (control characters, halves of surrogate pairs) becomes the replacement character.
 */
export function escapeText(text: string): string {
  return text.toWellFormed()
    // deno-lint-ignore no-control-regex -- they are what is looked for
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>"']/g, (character) => entities[character]);
}

/**
 * A template whose values are escaped.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const link = markup`<b>${"1 < 2"}</b>`;
 * assertEquals(`${markup`<p>${link}${["!", "?"]}</p>`}`, "<p><b>1 &lt; 2</b>!?</p>");
 * ```
 */
export function markup(strings: TemplateStringsArray, ...values: Content[]): Markup {
  return new Markup(String.raw({ raw: strings }, ...values.map(render)));
}

function render(content: Content): string {
  if (content === undefined) return "";
  if (content instanceof Markup) return content.text;
  if (typeof content === "object") return content.map(render).join("");
  return escapeText(String(content));
}
