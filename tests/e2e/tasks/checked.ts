/** A task of one's own: a quick answer, and the model's word on it. Both stages are Thinker's. */
import { type TaskSpec, thinker } from "../../../mod.ts";

const [fast, verify] = thinker.stages;

/** Fast Thinking and Verification, nothing after them. */
export const checked: TaskSpec = {
  name: "checked",
  title: "Fast and Verify",
  firstTitle: "Fast alone",
  stages: [fast, verify],
  next: (turns) => turns.length === 1 ? { stage: "verify" } : "end",
  final: ([first]) => first,
};
