/** Instructions inside of questions: named, and cut out where they are known. */
import { assertEquals } from "@std/assert";
import { instructionsIn, stripInstructions } from "../../src/data/instructions.ts";
import { dataNotes, loadProblems } from "../../src/data/mod.ts";
import { fixture } from "./files.ts";

const box = "\\boxed{}";

Deno.test("stripInstructions: published wordings at either end, and nothing else", () => {
  const around: [before: string, after: string][] = [
    ["", ' Let\'s think step by step and output the final answer after "####".'],
    ["", ` Let's think step by step and output the final answer within ${box}.`],
    ["", `\nPlease reason step by step, and put your final answer within ${box}.`],
    [`Please reason step by step, and put your final answer within ${box}.\n\n`, ""],
    ["", "\n\nPresent the answer in LaTex format: \\boxed{Your answer}"],
    ["Solve the following math problem. Return your final answer within \\boxed{}. ", ""],
    [
      `Solve the following math problem. Make sure to put the answer (and only answer) inside ${box}.\n\n`,
      "",
    ],
    [
      "",
      ` You must put your answer inside ${box} and Your final answer will be extracted automatically by the ${box} tag.`,
    ],
    [
      "",
      '\n\nRemember to put your answer on its own line after "Answer:", and you do not need to use a \\boxed command.',
    ],
    [
      "Solve the following math problem efficiently and clearly. The last line of your response " +
      "should be of the following format: 'Therefore, the final answer is: $\\boxed{ANSWER}$. I " +
      "hope it is correct' (without quotes) where ANSWER is just the final number or expression " +
      "that solves the problem. Think step by step before answering.\n\n",
      "",
    ],
    [
      "Answer the following multiple choice question. The last line of your response should be of " +
      "the following format: 'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. " +
      "Think step by step before answering.\n\n",
      "",
    ],
    ["", " Let's think step by step."],
    ["", "\n\nAnswer: $Answer"],
    ["", "\nAnswer: \\$Answer\n"],
    ["", "\n  Final answer: $LETTER."],
    ["", "\nThe final answer is: <your answer>"],
    ["", '\nLet\'s think step by step.\nAnswer: "[answer]"'],
  ];
  const questions = [
    "Find $x$.",
    "What is  1+1?\n\n(two\tspaces stay)",
    "A walk of 3 steps, step by step: how far?",
    "Solve for $x$ in $\\boxed{x} + 1 = 3$.",
  ];
  for (const question of questions) {
    assertEquals(stripInstructions(question), question);
    for (const [before, after] of around) {
      assertEquals(stripInstructions(before + question + after), question, before + after);
    }
  }
  const kept = [
    "Give your answer in the form $\\boxed{a+b}$.",
    "Let's think step by step.",
    "Compute the area and give your answer in \\boxed{}.",
    "Solve it step by step and name the largest root.",
    "Please explain #### in Markdown.",
    "Express the sum as a step by step list",
  ];
  for (const question of kept) assertEquals(stripInstructions(question), question);
});

Deno.test("instructionsIn: names what contradicts the prompts, with its words", () => {
  const named = (text: string) => instructionsIn(text).map(({ what }) => what);
  assertEquals(named("Find $x$ and answer: how many steps?"), []);
  for (const line of ["Answer: $Answer", "Answer: \\$ANSWER ", "answer: {answer}"]) {
    assertEquals(named(`Find $x$.\n${line}`), ['asks for a line "Answer: …"'], line);
  }
  for (const text of ["Which is right? Answer: $A$", "x\nAnswer: $x$", "q\nAnswer: answer me"]) {
    assertEquals([named(text), stripInstructions(text)], [[], text]);
  }
  assertEquals(named(`Put it within ${box}.`), ["holds a box"]);
  assertEquals(named("Show your work in <think> </think> tags."), [
    "asks for tags such as <think> or <answer>",
  ]);
  assertEquals(named("<|im_start|>user\nq"), ["holds the control tokens of a chat"]);
  assertEquals(instructionsIn("x ".repeat(50) + "####" + " y".repeat(50)), [{
    what: "asks for the answer after ####",
    example: `…${"x ".repeat(20)}####${" y".repeat(18)}…`,
  }]);
});

Deno.test("instructions: named when a file is loaded, gone with the switch", async () => {
  const dapo = fixture("dapo.jsonl"), verl = fixture("verl-gsm8k.jsonl");
  const as = await loadProblems(dapo);
  const [note] = dataNotes(dapo, as);
  assertEquals(as.remarks.map(({ what, count }) => [what, count]), [
    ['asks for a line "Answer: …"', 1],
    ["asks to think step by step", 1],
  ]);
  assertEquals(note.includes("(first: line 1, "), true);
  const cut = await loadProblems(dapo, { stripInstructions: true });
  assertEquals(cut.problems[0].question, "In triangle ABC, find x.");
  assertEquals(cut.problems[0].id, as.problems[0].id);
  assertEquals(cut.remarks.map(({ what }) => what), ["instructions cut out of the question"]);
  const { problems } = await loadProblems(verl, { stripInstructions: true });
  assertEquals(problems.map(({ question, answer }) => [question, answer]), [["Q", "72"]]);
});
