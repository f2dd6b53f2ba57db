/** A strict little reader of the HTML and SVG that the report room writes. */

/** One start tag. */
export interface Tag {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const empty = new Set(["meta"]);

const unescape = (text: string) =>
  text.replace(
    /&(?:amp|lt|gt|quot|#39);/g,
    (entity) => ({ "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" })[entity]!,
  );

/**
 * All start tags, and the text between tags with entities resolved.
 *
 * @throws Error where a tag is not closed, an attribute is not quoted, or an ampersand is bare.
 */
export function read(document: string): { tags: Tag[]; text: string } {
  const tags: Tag[] = [], open: string[] = [];
  let text = "", at = 0;
  const inScript = () => ["script", "style"].includes(open.at(-1) ?? "");
  while (at < document.length) {
    const close = inScript() ? document.indexOf(`</${open.at(-1)}`, at) : document.indexOf("<", at);
    const end = close < 0 ? document.length : close;
    const between = document.slice(at, end);
    if (!inScript()) {
      if (/&(?!amp;|lt;|gt;|quot;|#39;)/.test(between) || between.includes(">")) {
        throw new Error(`bare character in ${JSON.stringify(between.slice(0, 80))}`);
      }
      text += unescape(between);
    }
    if (close < 0) break;
    const match = /^<(?:!doctype html|\/([\w-]+)|([\w-]+)((?:\s+[\w:-]+(?:="[^"<>]*")?)*)\s*(\/)?)>/
      .exec(document.slice(end, end + 2000));
    if (!match) throw new Error(`no tag: ${JSON.stringify(document.slice(end, end + 80))}`);
    const [whole, closing, name, attributes, selfClosed] = match;
    if (closing !== undefined && open.pop() !== closing) throw new Error(`stray </${closing}>`);
    if (name !== undefined) {
      const pairs = [...attributes.matchAll(/([\w:-]+)(?:="([^"]*)")?/g)];
      tags.push({
        name,
        attributes: Object.fromEntries(pairs.map(([, k, v = ""]) => [k, unescape(v)])),
      });
      if (!selfClosed && !empty.has(name)) open.push(name);
    }
    at = end + whole.length;
  }
  if (open.length > 0) throw new Error(`not closed: ${open.join(" ")}`);
  return { tags, text };
}
