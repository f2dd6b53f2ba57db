import { assertEquals } from "@std/assert";
import { actionsOf, flatten, scored } from "../../src/ppo/mod.ts";
import { madeEpisode } from "./toy.ts";

const wrongThenRight = scored(
  madeEpisode([
    { stage: "fast", logprobs: [-1, -2] },
    { stage: "verify", logprobs: [-3] },
    { stage: "slow", logprobs: [-4, -5, -6] },
  ]),
  [0, 0.25, 1],
  0,
);
const plain = scored(madeEpisode([{ stage: "answer", logprobs: [-7] }]), [0.5], 1);

Deno.test("flatten: log-probs in order, each reward on the last action of its segment", () => {
  const { logprobs, rewards, segments } = flatten([wrongThenRight, plain], 0);
  assertEquals([...logprobs], [-1, -2, -3, -4, -5, -6, -7]);
  assertEquals([...rewards], [0, 0, 0.25, 0, 0, 1, 0.5]);
  assertEquals([...segments], [0, 2, 3, 6, 7]);
});

Deno.test("flatten: stageDiscount links the stages of an episode, never two episodes", () => {
  const linked = (discount: number) => [
    ...flatten([wrongThenRight, plain, wrongThenRight], discount).link,
  ];
  assertEquals(linked(0.5), [0.5, 0.5, 0, 0, 0.5, 0.5, 0]);
  assertEquals(linked(0), [0, 0, 0, 0, 0, 0, 0]);
});

Deno.test("flatten: nothing gives empty arrays and one border", () => {
  const { logprobs, rewards, segments, link } = flatten([], 1);
  assertEquals([logprobs.length, rewards.length, link.length, [...segments]], [0, 0, 0, [0]]);
});

Deno.test("scored: the spans of a sample are the episode's segments", () => {
  assertEquals(actionsOf(wrongThenRight), 6);
  assertEquals(wrongThenRight.spans.map(({ start, length }) => [start, length]), [
    [1, 2],
    [4, 1],
    [6, 3],
  ]);
  assertEquals(wrongThenRight.ids.length, 9);
});
