/** The likeliest continuations of prompts, for comparison with those of transformers. */
import { Engine } from "../../src/engine/mod.ts";
import type { Model } from "../../src/model/mod.ts";

/** Continues each prompt by at most `tokens` ids, always the likeliest one, up to and with a stop token. */
export async function continueGreedily(
  { stream, decoder }: Model,
  prompts: readonly number[][],
  tokens: number,
): Promise<number[][]> {
  const longest = Math.max(...prompts.map(({ length }) => length)) + tokens;
  using engine = new Engine(stream, decoder, {
    maxSequences: 8,
    cacheTokens: 8 * (longest + stream.device.info.kvTile),
    maxTokens: longest,
    stop: decoder.config.eos,
  });
  const continuations: number[][] = [];
  const requests = prompts.map((prompt, i) => ({
    prompt,
    budget: tokens,
    maxTokens: prompt.length + tokens,
    sequences: [{
      id: BigInt(i),
      onTurn: (turn: { readonly ids: number[] }) => {
        continuations[i] = turn.ids;
        return null;
      },
    }],
  }));
  await engine.run(requests, { seed: 0n, sampling: { temperature: 0, topP: 1, topK: 0 } });
  return continuations;
}
