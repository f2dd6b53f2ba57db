/** A task of one's own with a tool: the model writes a sum, a calculator works it out, the model answers. */
import type { Segment, TaskSpec } from "../../../mod.ts";

/** Works out what stands in the box: whole numbers and plus signs. */
async function calculate(turns: readonly Segment[]): Promise<string> {
  const asked = turns[turns.length - 1].answer ?? "";
  if (!/^\d+(\+\d+)*$/.test(asked)) throw new Error(`no sum: ${asked}`);
  await Promise.resolve(); // as a calculator elsewhere would
  return `${asked.split("+").map(Number).reduce((a, b) => a + b, 0)}`;
}

const box = (content: string) => `\\boxed{${content}}`;

/** Ask the calculator, then answer. */
export const calculator: TaskSpec = {
  name: "calculator",
  title: "Calculator",
  stages: [{
    name: "ask",
    title: "Asking the calculator",
    prompt: "{question}",
    budget: 20,
    // Paid for what came of it: credit for the tool's text goes to the turn that asked for it.
    reward: (_turn, { episode: { final } }) => final?.correct === true ? 1 : 0,
    script: ({ problem, right }) => box(right ? problem.question.replace("=", "") : "?"),
  }, {
    name: "tell",
    title: "Answer",
    prompt: "={result}",
    budget: 12,
    tool: { tokens: 8, seconds: 5, call: calculate },
    reward: ({ correct }) => correct === true ? 1 : 0,
    script: ({ problem, right }) => box(right ? problem.answer! : "0"),
  }],
  next: (turns) => turns.length === 1 ? { stage: "tell" } : "end",
  final: ([, last]) => last,
};
