/**
 * Worked solutions of small sums, right and with one slip: text short and regular enough for a
 * byte-level transformer of a few hundred thousand parameters to learn each step as a lookup.
 *
 * @module
 */

/**
 * The operations.
 *
 * - `add1`: two digits; `add2`: two two-digit numbers; `add3`: three numbers of one or two digits
 * - `sub2`: two-digit numbers, the result not negative
 * - `mul`: a digit times a number of one or two digits, in either order
 */
export type Kind = "add1" | "add2" | "sub2" | "add3" | "mul";

/** A worked solution and where it leads. */
export interface Attempt {
  /** Steps `left=right` separated by spaces, at most 40 characters. */
  readonly work: string;
  /** The final answer, in decimal digits. */
  readonly answer: string;
}

/** One mistake: the result of a step is off by `delta`, or the carry (borrow) is forgotten. */
type Slip = { step: number; delta: number } | "carry";

/** Writes the steps down, makes at most one slip, and notes which slips would have been plausible. */
class Sheet {
  readonly steps: string[] = [];
  readonly slips: Slip[] = [];

  constructor(readonly slip?: Slip) {}

  /** Writes `left=value` and returns the value written; `deltas` are the plausible mistakes here. */
  write(left: string, value: number, deltas: readonly number[], max = Infinity): number {
    const step = this.steps.length;
    for (const delta of deltas) {
      if (value + delta >= 0 && value + delta <= max) this.slips.push({ step, delta });
    }
    const slip = this.slip;
    const written = typeof slip === "object" && slip.step === step ? value + slip.delta : value;
    this.steps.push(`${left}=${written}`);
    return written;
  }

  /** The 1 to carry or borrow: noted as forgettable, and 0 when this sheet forgets it. */
  carry(needed: boolean): 0 | 1 {
    if (!needed) return 0;
    this.slips.push("carry");
    return this.slip === "carry" ? 0 : 1;
  }
}

const NEXT = [-1, 1];
const NEXT_OR_TEN = [-10, -1, 1, 10];

function add2(sheet: Sheet, a: number, b: number): number {
  const [tensA, onesA] = [Math.floor(a / 10), a % 10];
  const [tensB, onesB] = [Math.floor(b / 10), b % 10];
  const ones = sheet.write(`${onesA}+${onesB}`, onesA + onesB, NEXT);
  const carry = sheet.carry(ones >= 10);
  const left = `${tensA}+${tensB}${carry ? "+1" : ""}`;
  return sheet.write(left, tensA + tensB + carry, NEXT) * 10 + ones % 10;
}

function sub2(sheet: Sheet, a: number, b: number): number {
  const [tensA, onesA] = [Math.floor(a / 10), a % 10];
  const [tensB, onesB] = [Math.floor(b / 10), b % 10];
  const top = onesA < onesB ? onesA + 10 : onesA;
  const ones = sheet.write(`${top}-${onesB}`, top - onesB, NEXT, 9);
  const borrow = sheet.carry(onesA < onesB);
  const left = `${tensA}${borrow ? "-1" : ""}-${tensB}`;
  return sheet.write(left, tensA - borrow - tensB, NEXT, 9) * 10 + ones;
}

function mul(sheet: Sheet, x: number, y: number): number {
  const [digit, number] = x < y ? [x, y] : [y, x];
  const ones = number % 10;
  const tens = number - ones;
  // A neighbour in the multiplication table is the usual mistake beside miscounting by one.
  const table = [-digit, -1, 1, digit];
  if (tens === 0) return sheet.write(`${x}*${y}`, x * y, table);
  const big = sheet.write(`${digit}*${tens}`, digit * tens, table.map((delta) => 10 * delta));
  if (ones === 0) return big;
  const small = sheet.write(`${digit}*${ones}`, digit * ones, table);
  return sheet.write(`${big}+${small}`, big + small, NEXT_OR_TEN);
}

function add3(sheet: Sheet, a: number, b: number, c: number): number {
  const first = sheet.write(`${a}+${b}`, a + b, NEXT_OR_TEN);
  return sheet.write(`${first}+${c}`, first + c, NEXT_OR_TEN);
}

function run(kind: Kind, terms: readonly number[], slip?: Slip): Attempt & { slips: Slip[] } {
  const sheet = new Sheet(slip);
  const [a, b, c] = terms;
  const result = kind === "add1"
    ? sheet.write(`${a}+${b}`, a + b, NEXT)
    : kind === "add2"
    ? add2(sheet, a, b)
    : kind === "sub2"
    ? sub2(sheet, a, b)
    : kind === "mul"
    ? mul(sheet, a, b)
    : add3(sheet, a, b, c);
  return { work: sheet.steps.join(" "), answer: `${result}`, slips: sheet.slips };
}

/**
 * The right solution, step by step: ones before tens with the carry written out
 * (`7+5=12 4+8+1=13` for 47+85), borrows likewise (`15-7=8 8-1-4=3` for 85-47), products by tens and
 * ones (`3*40=120 3*7=21 120+21=141` for 3*47), three terms as a chain (`12+25=37 37+41=78`).
 *
 * @param kind The operation.
 * @param terms Its operands, as in the question.
 */
export function rightAttempt(kind: Kind, terms: readonly number[]): Attempt {
  const { work, answer } = run(kind, terms);
  return { work, answer };
}

/**
 * Every plausible solution with exactly one slip (off by one, off by ten, a neighbour in the
 * multiplication table, a forgotten carry or borrow); each is consistent up to its wrong answer.
 * Never empty, and no answer in it is the right one.
 *
 * @param kind The operation.
 * @param terms Its operands, as in the question.
 */
export function wrongAttempts(kind: Kind, terms: readonly number[]): Attempt[] {
  const right = run(kind, terms);
  return right.slips
    .map((slip) => {
      const { work, answer } = run(kind, terms, slip);
      return { work, answer };
    })
    .filter(({ answer }) => answer !== right.answer);
}
