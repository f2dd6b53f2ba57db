/**
 * A real pretrained model, SmolLM2-135M-Instruct: imported from its GGUF file, its greedy continuations
 * must be those of transformers, token for token.
 */
import { join } from "node:path";
import { importGguf, loadModel } from "../../src/model/mod.ts";
import { continueGreedily } from "./greedy.ts";
import type { Python } from "./python.ts";

/** Tokens of each continuation. */
const tokens = 32;

const prompts = [
  "What is the capital of France?",
  "Write a haiku about the sea.",
  "What is 17 + 25?",
  "Explain photosynthesis in one sentence.",
  "List three primary colours.",
  "Translate 'good morning' into Spanish.",
  "def fibonacci(n):\n    ",
  "Who wrote Romeo and Juliet?",
  "A train travels 60 km in 1.5 hours. What is its speed?",
  "Name a mammal that can fly.",
  "¿Cuál es la capital de España?",
  "Solve $x^2 - 5x + 6 = 0$.",
  "Why is the sky blue?",
  "日本の首都はどこですか？",
  "Give me a recipe for pancakes.",
  "What comes after 1, 1, 2, 3, 5, 8?",
  "Summarise: The cat sat on the mat. The dog chased the cat. 🐱🐶",
  "Is 91 a prime number?",
  "How many minutes are there in 3 hours and 20 minutes?",
  "Tell me a joke about computers.",
];

/** One prompt in transformers' hands. */
interface Answer {
  readonly text: string;
  readonly ids: number[];
  readonly continuation: number[];
}

/** Where the imported model lies; imported again when this is called. */
export async function importSmollm2(python: Python): Promise<{ file: string; dir: string }> {
  const file = await python.smollm2(), dir = join(python.folder, "smollm2");
  await Deno.remove(dir, { recursive: true }).catch(() => {});
  await importGguf(file, dir);
  return { file, dir };
}

/** Throws an error that names the first prompt whose ids or continuation differ. */
export async function checkSmollm2(python: Python): Promise<void> {
  const { file, dir } = await importSmollm2(python);
  const request = join(python.folder, "prompts.json"), out = join(python.folder, "answers.json");
  Deno.writeTextFileSync(request, JSON.stringify({ prompts, tokens }));
  await python.script("smollm2.py", file, dir, request, out);
  const answers: Answer[] = JSON.parse(Deno.readTextFileSync(out));
  if (answers.length !== prompts.length) throw new Error(`${answers.length} answers`);

  using model = await loadModel(dir);
  const continuations = await continueGreedily(model, answers.map(({ ids }) => ids), tokens);
  answers.forEach(({ text, ids, continuation }, i) => {
    const compare = (what: string, actual: number[], expected: number[]) => {
      if (actual.join() === expected.join()) return;
      const show = (list: number[]) => JSON.stringify(model.tokenizer.decode(list));
      throw new Error(
        `${what} of ${JSON.stringify(text)}: ${show(actual)}, transformers: ${show(expected)}`,
      );
    };
    compare("ids", model.tokenizer.encode(text, { special: true }), ids);
    compare("continuation", continuations[i], continuation);
  });
}
