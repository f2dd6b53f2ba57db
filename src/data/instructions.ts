/**
 * Instructions that data sets write into their questions: how to answer is what the stages' prompts say,
 * and two that contradict each other teach neither.
 *
 * @module
 */

/** A line of its own that stands for the answer, as instructions have it: `Answer: $Answer`. */
const answerForm = String
  .raw`(?<=^|\n[^\S\n]*)(?:The\s+)?(?:Final\s+)?Answer(?:\s+is)?:\s*["'\x60$]{0,2}\\?(?:\$?\\?(?:Answer|LETTER)\b|[[<({](?:(?:your|the|final)\s+)*(?:answer|letter)(?:\s+here)?[\])>}])["'\x60$]{0,2}\.?`;

/** What instructions ask for, by their marks in a question. */
const kinds: readonly (readonly [name: string, mark: RegExp])[] = [
  [
    'asks for a line "Answer: …"',
    new RegExp(
      String
        .raw`(?:form(?:at)?:? *["'“]?|own line after *["'“]|\bwith *["'“])(?:the )?(?:final )?answer *(?:is *)?:|${answerForm}\s*$`,
      "i",
    ),
  ],
  ["asks for the answer after ####", /####/],
  ["holds a box", /\\boxed\b|\\fbox\b/],
  [
    "asks to think step by step",
    /\b(?:think|reason|solve|work|explain|proceed|show)\b[^.\n]{0,60}\bstep[ -]by[ -]step\b|\bstep[ -]by[ -]step (?:reasoning|solution|explanation)\b/i,
  ],
  ["asks for tags such as <think> or <answer>", /<\/?(?:think|answer|reasoning|solution)>/i],
  [
    "holds the control tokens of a chat",
    /<\|(?:im_start|im_end|begin_of_text|start_header_id|user|assistant|eot_id)\|>|<[|｜](?:User|Assistant)[|｜]>|\[\/?INST\]|<start_of_turn>/i,
  ],
];

/** Everything that {@linkcode instructionsIn} may find. */
export const instructionKinds: readonly string[] = kinds.map(([what]) => what);

/** What an instruction may hold in place of an answer: `\boxed{}`, `$\boxed{ANSWER}$`. */
const box = String
  .raw`[$\`"']{0,2}\\{1,2}boxed(?:\{\s*(?:\.{3}|…|(?:the |your )?(?:final )?answer)?\s*\})?[$\`"']{0,2}`;
const steps = String
  .raw`(?:please )?(?:let['’]?s )?(?:think|reason|solve (?:it|this|the problem)|work)(?: (?:carefully|about it|through (?:it|this)))?,? step[ -]by[ -]step`;
const put = String
  .raw`(?:please |(?:also )?make sure to |remember to |you (?:must|should) |be sure to )?(?:put|give|write|place|output|present|return|provide|state|enclose|wrap|box|report)(?: only)?(?: your| the)?(?: \(?(?:final|answer|and only|result|response|solution)\)?)*`;

/** Instructions as sets and trainers publish them; each is whole sentences at either end of a question. */
const known: readonly string[] = [
  // DAPO-Math-17k, after OpenAI's simple-evals.
  String
    .raw`(?:Solve the following math problem step by step\. )?The last line of your response should be (?:of|in) the (?:form|following format:?) ["']?Answer: \\?\$?\\?(?:Answer|LETTER)["']? \(without quotes\) where \\?\$?(?:Answer is the answer to the problem|LETTER is one of [A-Z, ]+)\.(?: Think step by step before answering\.)?`,
  String
    .raw`Answer the following multiple choice question\. The last line of your response should be of the following format: ['"]Answer: \$LETTER['"] \(without quotes\) where LETTER is one of [A-Z, ]+\.(?: Think step by step before answering\.)?`,
  String
    .raw`Remember to put your answer on its own line after ["“]Answer:["”](?:, and you do not need to use a \\boxed command)?\.`,
  answerForm,
  // Open-R1 and lighteval.
  String
    .raw`Solve the following math problem efficiently and clearly\.\s+The last line of your response should be of the following format: ['"]Therefore, the final answer is: ${box}\.? I hope it is correct['"] \(without quotes\) where ANSWER is just the final number or expression that solves the problem\.(?: Think step by step before answering\.)?`,
  // verl's gsm8k and math.
  String
    .raw`${steps},? and (?:then )?(?:output|give|put|write|provide|present) (?:the|your) final answer after ["'“]?####["'”]?\.?`,
  String
    .raw`${steps},? and (?:then )?(?:output|give|put|write|provide|present) (?:the|your) (?:final )?answer (?:with)?in(?:side)? ${box}\.?`,
  String.raw`${put} after ["'“]?####["'”]?\.?`,
  // Qwen2.5-Math, PRIME, SYNTHETIC-1 and others.
  String
    .raw`(?:Solve the following math problem\. )?${put} (?:with)?in(?:side|to)? ${box}(?: and your final answer will be extracted automatically by the \\boxed\{\} tag)?\.?`,
  String.raw`${put} in latex format: ${box}\.?`,
  String.raw`${steps}\.?`,
  // TinyZero.
  String
    .raw`Show your work in <think> <\/think> tags\.(?: And)? return the final (?:answer|equation) in <answer> <\/answer> tags(?:, for example [^\n]*)?\.?`,
].map((text) => text.replaceAll(" ", "\\s+"));
const heads = known.map((text) => new RegExp(`^\\s*(${text})\\s*`, "i"));
const tails = known.map((text) => new RegExp(`(?<=^|\\s)(${text})\\s*$`, "i"));

/** What a question asks for beside its answer: in a few words, and as it stands there. */
export function instructionsIn(question: string): { what: string; example: string }[] {
  return kinds.flatMap(([what, mark]) => {
    const { index } = mark.exec(question) ?? {};
    return index === undefined ? [] : [{ what, example: excerpt(question, index) }];
  });
}

/** The words around a place, on one line. */
function excerpt(text: string, at: number): string {
  const start = Math.max(0, at - 40), end = at + 40;
  const words = text.slice(start, end).replaceAll(/\s+/g, " ").trim();
  return `${start > 0 ? "…" : ""}${words}${end < text.length ? "…" : ""}`;
}

/**
 * The question without the instructions of {@linkcode known} at its beginning and its end; what is left is
 * as it stands in the file. One that is nothing but instructions stays.
 */
export function stripInstructions(question: string): string {
  for (let text = question;;) {
    const rest = withoutHead(text) ?? withoutTail(text);
    if (rest === undefined || rest === "") return text;
    text = rest;
  }
}

function withoutHead(text: string): string | undefined {
  for (const pattern of heads) {
    const [all, instruction] = pattern.exec(text) ?? [];
    if (all === undefined) continue;
    // A sentence that goes on is another one: "Solve it step by step and name …".
    const after = all.slice(all.trimEnd().length);
    if (/[.:!]$/.test(instruction) || after.includes("\n")) return text.slice(all.length).trim();
  }
}

function withoutTail(text: string): string | undefined {
  for (const pattern of tails) {
    const { index } = pattern.exec(text) ?? {};
    if (index === undefined) continue;
    const before = text.slice(0, index);
    // The end of a longer sentence is part of it: "Find x and give your answer in …".
    const begins = /^\p{Lu}/u.test(text.slice(index)) ||
      /(?:^|\n\s*|[.?!:;][^\w\s]*\s+)$/.test(before);
    if (begins) return before.trim();
  }
}
