/**
 * Finds the final answer in a response: the last box decides.
 *
 * @module
 */

/**
 * The content of the last `\boxed{...}` or `\fbox{...}`, or `undefined` without one.
 *
 * Braces are matched; escaped ones (`\{`, `\}`) are text. Of nested boxes the inner one is the last.
 * A last box that is never closed means no answer, even when an earlier box is complete: a response
 * cut off while it corrects itself must not be paid for the answer it was about to withdraw.
 * Time is linear in the length of the text.
 *
 * @param text A response of the model, as long as it likes.
 * @returns What stands between the braces, untrimmed; may be empty.
 */
export function lastBoxed(text: string): string | undefined {
  let start = -1;
  for (const match of text.matchAll(/\\(?:boxed|fbox)\s*\{/g)) {
    start = match.index + match[0].length;
  }
  if (start < 0) return undefined;
  let depth = 1;
  for (let i = start; i < text.length; i++) {
    const c = text[i];
    if (c === "\\") i++;
    else if (c === "{") depth++;
    else if (c === "}" && --depth === 0) return text.slice(start, i);
  }
  return undefined;
}
