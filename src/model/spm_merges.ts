/**
 * SentencePiece's BPE as a list of merges.
 *
 * SentencePiece joins whichever neighbours make the piece with the highest score, the leftmost first;
 * tokenizer.json joins the pair that stands first in a list. Both do the same where every piece has a score
 * of its own: the pairs that make a piece stand where its score puts them.
 *
 * @module
 */

/** Two pieces that are joined. */
type Pair = readonly [left: string, right: string];

/**
 * The merges that pieces with scores stand for, best first; those of Llama 2 are in the order of its
 * published tokenizer.json.
 *
 * @param scores Score of each piece, in the order of their ids; higher is better.
 * @param refuse Called with what keeps the scores from ordering the merges.
 */
export function spmMerges(
  scores: ReadonlyMap<string, number>,
  refuse: (what: string) => never,
): Pair[] {
  const places = new Map([...scores.keys()].map((piece, place) => [piece, place]));
  const made = [...scores]
    .map(([piece, score]) => ({ piece, score, pairs: pairsOf(piece, places) }))
    .filter(({ pairs }) => pairs.length > 0)
    .sort((a, b) => b.score - a.score);
  for (const [i, { piece, score }] of made.entries()) {
    if (Number.isNaN(score)) refuse(`no score for the piece ${JSON.stringify(piece)}`);
    if (i === 0 || score !== made[i - 1].score) continue;
    // Llama's runs of spaces share one score, below all others: in such runs both ways join the same.
    const last = made[i - 1].piece;
    if (isRun(last + piece)) continue;
    const both = [last, piece].map((each) => JSON.stringify(each)).join(" and ");
    refuse(`the same score for ${both}: nothing orders their merges`);
  }
  return made.flatMap(({ pairs }) => pairs);
}

/** The ways to make a piece of two others, in the order of their ids. */
function pairsOf(piece: string, places: ReadonlyMap<string, number>): Pair[] {
  const pairs: Pair[] = [];
  let at = 0;
  for (const character of piece) {
    at += character.length;
    const pair: Pair = [piece.slice(0, at), piece.slice(at)];
    if (pair.every((part) => places.has(part))) pairs.push(pair);
  }
  const place = (part: string) => places.get(part)!;
  return pairs.sort(([a, b], [c, d]) => place(a) - place(c) || place(b) - place(d));
}

/** Whether a text is one character again and again. */
function isRun(text: string): boolean {
  return new Set(text).size === 1;
}
