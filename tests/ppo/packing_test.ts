import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { actionsOf, pack, type Sample, split } from "../../src/ppo/mod.ts";

/** A sample whose token ids name their sample and place, with spans that do not start at 0. */
const sample = fc.array(fc.record({ gap: fc.integer({ min: 1, max: 5 }), length: fc.nat(6) }), {
  minLength: 1,
  maxLength: 4,
});

const samples = fc.array(sample, { maxLength: 12 }).map((all) =>
  all.map((turns, s): Sample => {
    const spans: { start: number; length: number }[] = [];
    let at = 0;
    for (const { gap, length } of turns) {
      spans.push({ start: at + gap, length });
      at += gap + length;
    }
    return { ids: Array.from({ length: at }, (_, i) => 1000 * s + i), spans };
  })
);
const limit = fc.integer({ min: 1, max: 80 });

/** The ids of all actions, in order. */
function actions(of: readonly Sample[]): number[] {
  return of.flatMap(({ ids, spans }) =>
    spans.flatMap(({ start, length }) => Array.from(ids).slice(start, start + length))
  );
}

Deno.test("pack: every sample is in exactly one pack, in order", () =>
  fc.assert(fc.property(samples, limit, (all, limit) => {
    assertEquals(pack(all, limit).flatMap((each) => each.samples), all);
  })));

Deno.test("pack: a pack keeps the limit unless it holds one sample, and is never empty", () =>
  fc.assert(fc.property(samples, limit, (all, limit) => {
    const packs = pack(all, limit);
    for (const { samples, tokens } of packs) {
      assertEquals(tokens, samples.reduce((sum, { ids }) => sum + ids.length, 0));
      assert(samples.length > 0);
      assert(tokens <= limit || samples.length === 1, `${tokens} tokens over ${limit}`);
    }
    packs.slice(1).forEach((next, i) => {
      const together = packs[i].tokens + next.samples[0].ids.length;
      assert(together > limit, "the next sample would have fitted");
    });
  })));

Deno.test("pack: targets are the actions, rows the tokens before them, offsets count on", () =>
  fc.assert(fc.property(samples, limit, fc.nat(100), (all, limit, first) => {
    const packs = pack(all, limit, first);
    assertEquals(packs.flatMap(({ targets }) => [...targets]), actions(all));
    let offset = first;
    for (const { samples, rows, targets, offset: begins } of packs) {
      const flat = samples.flatMap(({ ids }) => Array.from(ids));
      const starts = new Set<number>();
      samples.reduce((at, { ids }) => (starts.add(at), at + ids.length), 0);
      rows.forEach((row, i) => {
        assertEquals(flat[row + 1], targets[i]);
        assert(!starts.has(row + 1), "an action is predicted from another sample's last token");
      });
      assertEquals(begins, offset);
      assertEquals(rows.length, samples.reduce((sum, each) => sum + actionsOf(each), 0));
      offset += rows.length;
    }
    assertEquals(offset, first + actions(all).length);
  })));

Deno.test("split: exact, in order, and as even as it can be", () =>
  fc.assert(fc.property(fc.array(fc.nat()), fc.integer({ min: 1, max: 20 }), (items, count) => {
    const runs = split(items, count);
    assertEquals(runs.flat(), items);
    assertEquals(runs.length, Math.min(count, items.length));
    const lengths = runs.map((run) => run.length);
    if (runs.length > 0) assert(Math.max(...lengths) - Math.min(...lengths) <= 1);
  })));
