import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { exactValue } from "../../src/grade/rational.ts";
import { equalExact } from "../../src/grade/exact.ts";
import { equalFactored, factoredValue } from "../../src/grade/factored.ts";
import { call, integer, type Node } from "../../src/grade/node.ts";

type Part = Node | number | bigint;
const tree = (part: Part) => typeof part === "object" ? part : integer(part);
const f = (fn: string, ...args: Part[]) => call(fn, ...args.map(tree));
const text = (value: unknown) =>
  JSON.stringify(value, (_, each) => typeof each === "bigint" ? `${each}` : each);

function same(a: Part, b: Part): boolean | undefined {
  const work = { left: 200_000 };
  const x = factoredValue(tree(a), work), y = factoredValue(tree(b), work);
  return x && y && equalFactored(x, y);
}

/** Two primes above the bound of trial division, and a third. */
const [P, Q, R] = [1_000_003n, 1_000_033n, 1_000_037n];

Deno.test("factored: equal without being written out", () => {
  const equal: [Part, Part][] = [
    [f("^", 3, 6567340), f("^", 9, 3283670)],
    [
      f("binom", 9891, 1989),
      f("/", f("factorial", 9891), f("*", f("factorial", 1989), f("factorial", 7902))),
    ],
    [f("binom", 9891, 1989), f("binom", 9891, 7902)],
    [f("binom", 10n ** 12n, 2), f("/", f("*", 10n ** 12n, 10n ** 12n - 1n), 2)],
    [f("binom", 5, 7), 0],
    [f("factorial2", 9), 945],
    [f("factorial2", 10), 3840],
    [f("factorial2", 0), 1],
    [
      f("factorial2", 99_999),
      f("/", f("factorial", 99_999), f("*", f("^", 2, 49_999), f("factorial", 49_999))),
    ],
    [f("^", -2, 10n ** 9n), f("^", 4, 5n * 10n ** 8n)],
    [f("^", -2, 10n ** 9n + 1n), f("neg", f("^", 2, 10n ** 9n + 1n))],
    [f("^", f("/", 2, 3), -(10n ** 8n)), f("/", f("^", 3, 10n ** 8n), f("^", 2, 10n ** 8n))],
    [f("sqrt", f("^", 2, 10n ** 8n)), f("^", 2, 5n * 10n ** 7n)],
    [f("root", f("^", 27, 10n ** 8n), 3), f("^", 3, 10n ** 8n)],
    [f("^", f("^", 8, 10n ** 8n), f("/", 2, 3)), f("^", 4, 10n ** 8n)],
    [f("+", f("^", 2, 10n ** 8n), f("^", 2, 10n ** 8n)), f("^", 2, 10n ** 8n + 1n)],
    [f("-", f("^", 2, 10n ** 8n), f("^", 2, 10n ** 8n - 1n)), f("^", 2, 10n ** 8n - 1n)],
    [f("-", f("factorial", 50_000), f("factorial", 50_000)), 0],
    [f("-", f("factorial", 5001), f("factorial", 5000)), f("*", 5000, f("factorial", 5000))],
    [f("^", 2, f("^", 2, 1000)), f("^", 4, f("^", 2, 999))],
    // Cofactors that trial division does not split.
    [
      f("*", f("^", P * Q, 10n ** 8n), f("^", R, 10n ** 8n)),
      f("*", f("^", P * R, 10n ** 8n), f("^", Q, 10n ** 8n)),
    ],
    [f("^", P * P * Q, 10n ** 7n), f("*", f("^", P * Q, 10n ** 7n), f("^", P, 10n ** 7n))],
    [f("^", P * P, 10n ** 7n), f("^", P, 2n * 10n ** 7n)],
    [0, f("*", 0, f("factorial", 9999))],
  ];
  for (const [a, b] of equal) assertEquals([same(a, b), same(b, a)], [true, true], text([a, b]));
});

Deno.test("factored: different although nobody could write it out", () => {
  const different: [Part, Part][] = [
    [f("^", 2, 10n ** 8n), f("*", f("^", 2, 10n ** 8n - 1n), 3)],
    [f("^", 3, 6567340), f("^", 9, 3283671)],
    [f("binom", 9891, 1989), f("binom", 9891, 1988)],
    [f("^", -2, 10n ** 9n + 1n), f("^", 2, 10n ** 9n + 1n)],
    [f("factorial", 99_999), f("factorial", 100_000)],
    [f("^", P * Q, 10n ** 8n), f("^", P * R, 10n ** 8n)],
    [f("*", f("^", P * Q, 10n ** 8n), P), f("*", f("^", P * Q, 10n ** 8n), Q)],
    [f("^", P * P * Q, 10n ** 7n), f("*", f("^", P * Q, 10n ** 7n), f("^", Q, 10n ** 7n))],
    [0, f("^", 2, -(10n ** 9n))],
  ];
  for (const [a, b] of different) {
    assertEquals([same(a, b), same(b, a)], [false, false], text([a, b]));
  }
});

Deno.test("factored: what it does not know", () => {
  for (
    const node of [
      f("/", 1, 0),
      f("^", 0, 0),
      f("^", 0, -3),
      f("sqrt", 2),
      f("sqrt", -4),
      f("^", -8, f("/", 1, 3)),
      f("factorial", 10n ** 9n),
      f("factorial", -1),
      f("binom", 10n ** 9n, 5n * 10n ** 8n),
      f("+", f("^", 2, 10n ** 8n), 1),
      f("^", 2, f("^", 9, f("^", 9, 9))),
      f("^", f("^", f("^", 2, f("^", 2, 4000)), f("^", 2, 4000)), f("^", 2, 4000)),
      f("sin", 1),
      call("+", { type: "sym", name: "x" }, integer(1)),
    ]
  ) {
    assertEquals(factoredValue(node, { left: 200_000 }), undefined, text(node));
  }
  const many = Array.from({ length: 3000 }).reduce<Node>(
    (node) => f("*", node, f("factorial", 99_999)),
    integer(1),
  );
  const work = { left: 200_000 };
  const start = performance.now();
  assertEquals(factoredValue(many, work), undefined);
  assert(performance.now() - start < 5000);
});

const leaf = fc.oneof(
  fc.integer({ min: -40, max: 40 }).map(integer),
  fc.tuple(fc.integer({ min: -99, max: 99 }), fc.integer({ min: 1, max: 99 }))
    .map(([num, den]): Node => ({ type: "num", value: { num: BigInt(num), den: BigInt(den) } })),
  fc.constantFrom(P, Q, P * Q, Q * R, P * P).map(integer),
);
const { value } = fc.letrec<{ value: Node }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.tuple(fc.constantFrom("+", "-", "*", "/", "^", "binom"), tie("value"), tie("value"))
      .map(([fn, a, b]) => call(fn, a, b)),
    fc.tuple(fc.constantFrom("neg", "abs", "sqrt", "factorial"), tie("value"))
      .map(([fn, a]) => call(fn, a)),
  ),
}));

Deno.test("factored: agrees with exact fractions on random trees", () => {
  let compared = 0, equal = 0;
  fc.assert(
    fc.property(value, value, (a, b) => {
      const [x, y] = [a, b].map((node) => exactValue(node, { left: 20_000 }));
      if (!x || !y) return;
      const written = { type: "num", value: x } as const;
      assert(same(a, written) !== false, text(a));
      const found = same(a, b);
      if (found === undefined) return;
      compared++;
      if (found) equal++;
      assertEquals(found, equalExact(x, y), text([a, b]));
    }),
    { numRuns: 4000, seed: 6 },
  );
  assert(compared > 1000 && equal > 10, `${compared} compared, ${equal} equal`);
});
