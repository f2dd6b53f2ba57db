/**
 * The emulator's tensor cores with `THINKER_EMU_ROUNDING=h100` against a reference of their own, in whole
 * numbers, and against rows that an H200 has computed.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertSameBits, backends, type Rand, seeded } from "../../native.ts";
import { compile, link, runProgram } from "./programs.ts";

/** One mma: a (16, 16) and b (16, 8) as bfloat16, c (16, 8) as float32, bits by rows. */
interface Product {
  readonly a: Uint16Array;
  readonly b: Uint16Array;
  readonly c: Uint32Array;
}

/** A finite number is `units / 2^GRID`, exactly; a product of bfloat16 numbers too. */
const GRID = 300;

/** Exponent (that of the smallest normal number for subnormal ones) and units of a float32's bits. */
function exact(bits: number): { exponent: number; units: bigint } {
  const biased = bits >>> 23 & 0xff, exponent = Math.max(biased, 1) - 127;
  const significand = BigInt(bits & 0x7fffff | (biased ? 0x800000 : 0));
  const units = significand << BigInt(exponent - 23 + GRID);
  return { exponent, units: bits >>> 31 ? -units : units };
}

function toFloat(bits: number): number {
  return new Float32Array(Uint32Array.of(bits).buffer)[0];
}

/** d = a b + c of 16 products, as `h100_rounding.h` describes it; BigInt divides toward zero. */
function sumOf(a: number[], b: number[], c: number): number {
  const plain = a.reduce((sum, x, k) => sum + toFloat(x) * toFloat(b[k]), toFloat(c));
  if (!Number.isFinite(plain)) return plain;
  const terms = a.map((x, k) => {
    const [p, q] = [exact(x), exact(b[k])];
    return { exponent: p.exponent + q.exponent, units: (p.units * q.units) >> BigInt(GRID) };
  });
  const present = [exact(c), ...terms].filter(({ units }) => units !== 0n);
  const top = present.reduce((top, { exponent }) => Math.max(top, exponent), -133);
  const unit = 1n << BigInt(top - 25 + GRID);
  const sum = present.reduce((sum, { units }) => sum + units / unit * unit, 0n);
  const size = sum < 0n ? -sum : sum, exponent = size.toString(2).length - 1 - GRID;
  const last = Math.max(exponent, -126) - 23;
  const value = Math.fround(Number(size / (1n << BigInt(last + GRID))) * 2 ** last);
  return sum < 0n ? -value : value;
}

/** The element (i, j) of a product. */
function element({ a, b, c }: Product, i: number, j: number): number {
  const row = Array.from(a.subarray(i * 16, i * 16 + 16), (x) => x << 16 >>> 0);
  return sumOf(row, Array.from({ length: 16 }, (_, k) => b[k * 8 + j] << 16 >>> 0), c[i * 8 + j]);
}

function expected(p: Product): number[] {
  return Array.from({ length: 128 }, (_, at) => element(p, Math.floor(at / 8), at % 8));
}

/** A number with sign, biased exponent and a mantissa of 7 or 23 bits. */
function bitsOf(rand: Rand, bits: 7 | 23, exponent: number): number {
  const mantissa = [0, 1, 2 ** bits - 1, rand.int(0, 2 ** bits)][rand.int(0, 4)];
  return (rand.int(0, 2) * 256 + exponent) * 2 ** bits + mantissa;
}

/** How the biased exponents of a, b and c are drawn. */
const exponents: Record<string, (rand: Rand) => [number, number, number]> = {
  "near 1": (rand) => [rand.int(118, 131), rand.int(118, 131), rand.int(110, 140)],
  "sums far above the products": (rand) => [rand.int(118, 128), rand.int(118, 128), 137],
  "any finite": (rand) => [rand.int(0, 255), rand.int(0, 255), rand.int(0, 255)],
  "subnormal sums": (rand) => [rand.int(0, 64), rand.int(50, 70), rand.int(0, 3)],
  "the very smallest": (rand) => [rand.int(0, 3), rand.int(0, 130), rand.int(0, 2)],
  "around the largest float": (rand) => [rand.int(187, 192), rand.int(187, 192), 254],
  "with zeros": (rand) => [[0, 127][rand.int(0, 2)], rand.int(100, 130), [0, 110][rand.int(0, 2)]],
  "with infinities and NaN": (rand) => {
    const some = () => rand.int(0, 60) === 0 ? 255 : rand.int(1, 254);
    return [some(), some(), some()];
  },
};

function randomProduct(rand: Rand, draw: (rand: Rand) => [number, number, number]): Product {
  return {
    a: Uint16Array.from({ length: 256 }, () => bitsOf(rand, 7, draw(rand)[0])),
    b: Uint16Array.from({ length: 128 }, () => bitsOf(rand, 7, draw(rand)[1])),
    c: Uint32Array.from({ length: 128 }, () => bitsOf(rand, 23, draw(rand)[2])),
  };
}

/** The second half of the products takes back nearly all of the first, and c nearly all of what is left. */
function cancelling(p: Product, rand: Rand): Product {
  const a = p.a.slice(), b = p.b.slice();
  for (let k = 0; k < 8; k++) {
    for (let i = 0; i < 16; i++) a[i * 16 + k + 8] = a[i * 16 + k] ^ 0x8000;
    b.copyWithin((k + 8) * 8, k * 8, (k + 1) * 8);
  }
  for (let i = 0; i < 16; i++) a[i * 16] ^= rand.int(0, 2);
  const left = expected({ a, b, c: new Uint32Array(128) });
  const c = new Uint32Array(Float32Array.from(left, (x) => -x).buffer);
  return { a, b, c: c.map((x) => (x & 0x7fffffff) > 0 ? x + rand.int(-1, 2) : x) };
}

/** The largest significands everywhere, in one sign: the most that the sum of integers must hold. */
const full: Product = {
  a: new Uint16Array(256).fill(0x3fff),
  b: new Uint16Array(128).fill(0x3fff),
  c: new Uint32Array(128).fill(0x3fffffff),
};

/** Rows that an H200 has computed: a, b, c and d. */
async function hardwareRows() {
  const text = await Deno.readTextFile(`${import.meta.dirname}/../../fixtures/mma_h200.txt`);
  const words = (hex: string) => hex.match(/.{4}/g)!.map((word) => parseInt(word, 16));
  return text.trim().split("\n").filter((line) => !line.startsWith("#")).map((line) => {
    const [a, b, c, d] = line.split(" ");
    return { a: words(a), b: words(b), c: parseInt(c, 16), d: toFloat(parseInt(d, 16)) };
  });
}

/** Runs rounding.cu; `rounding` is the value of THINKER_EMU_ROUNDING. */
async function run(
  dir: string,
  what: "mma" | "exp2",
  input: Uint8Array[],
  rounding: string,
): Promise<Float32Array<ArrayBuffer>> {
  await Deno.writeFile(
    `${dir}/in`,
    new Uint8Array(await new Blob(input as BlobPart[]).arrayBuffer()),
  );
  const args = [what, `${dir}/in`, `${dir}/out`];
  const { code, text } = await runProgram(`${dir}/rounding`, args, {
    THINKER_EMU_ROUNDING: rounding,
  });
  assertEquals([code, text], [0, ""]);
  return new Float32Array((await Deno.readFile(`${dir}/out`)).buffer);
}

/** All sums of some products, 128 each. */
function multiply(dir: string, products: Product[], rounding: string) {
  const bytes = (x: Uint16Array | Uint32Array) =>
    new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
  return run(
    dir,
    "mma",
    products.flatMap(({ a, b, c }) => [bytes(a), bytes(b), bytes(c)]),
    rounding,
  );
}

async function assertHardwareRows(dir: string): Promise<void> {
  const rows = await hardwareRows();
  const products = rows.map((row, n) => {
    const p = { a: new Uint16Array(256), b: new Uint16Array(128), c: new Uint32Array(128) };
    p.a.set(row.a, n % 16 * 16);
    row.b.forEach((x, k) => p.b[k * 8 + n % 8] = x);
    p.c[n % 16 * 8 + n % 8] = row.c;
    return p;
  });
  const pick = (sums: Float32Array) => rows.map((_, n) => sums[n * 128 + n % 16 * 8 + n % 8]);
  const hardware = Float32Array.from(rows, ({ d }) => d);
  const reference = rows.map((_, n) => element(products[n], n % 16, n % 8));
  assertSameBits(Float32Array.from(reference), hardware, "reference");
  assertSameBits(
    Float32Array.from(pick(await multiply(dir, products, "h100"))),
    hardware,
    "emulator",
  );
  const nearest = pick(await multiply(dir, products, "nearest"));
  assert(nearest.some((x, n) => x !== hardware[n]), "rounding to nearest gives other numbers");
}

async function assertRandomSums(dir: string): Promise<void> {
  await seeded(async (rand) => {
    for (const [name, draw] of Object.entries(exponents)) {
      const products = Array.from({ length: 24 }, () => randomProduct(rand, draw));
      if (!name.includes("NaN")) {
        products.push(...products.slice(0, 8).map((p) => cancelling(p, rand)));
      }
      const sums = await multiply(dir, [...products, full], "h100");
      const wanted = Float32Array.from([...products, full].flatMap(expected));
      // Every NaN is the canonical one, whose sign and payload Float32Array.from does not know.
      new Uint32Array(wanted.buffer).forEach((_, i, bits) => {
        if (Number.isNaN(wanted[i])) bits[i] = 0x7fffffff;
      });
      assertSameBits(sums, wanted, name);
    }
  });
}

async function assertPowers(dir: string): Promise<void> {
  await seeded(async (rand) => {
    const special = [0, -0, 1e-40, -1e-40, -Infinity, Infinity, NaN, -126.5, -150, 200];
    const x = Float32Array.from([
      ...special,
      ...Array.from({ length: 4000 }, () => -126 * rand.uniform()),
    ]);
    const y = await run(dir, "exp2", [new Uint8Array(x.buffer)], "h100");
    assertEquals([...y.slice(0, special.length)], [1, 1, 1, 1, 0, Infinity, NaN, 0, 0, Infinity]);
    let off = 0;
    for (let i = special.length; i < x.length; i++) {
      const exact = 2 ** x[i], ulp = 2 ** (Math.floor(Math.log2(exact)) - 23);
      const error = Math.abs(y[i] - exact) / ulp;
      assert(error <= 3 || y[i] === 0 && exact < 2 ** -125, `2^${x[i]} is ${error} ulp off`);
      off = Math.max(off, error);
    }
    assert(off > 1.5, `at most ${off} ulp off`);
  });
}

if (backends.includes("emu")) {
  Deno.test("emulator: sums and powers have the rounding of an H100", async (t) => {
    const dir = await Deno.makeTempDir();
    try {
      await compile(`${import.meta.dirname}/rounding.cu`, `${dir}/rounding.o`, "plain");
      await link([`${dir}/rounding.o`], `${dir}/rounding`, "plain");
      await t.step("rows that an H200 has computed", () => assertHardwareRows(dir));
      await t.step("random sums", () => assertRandomSums(dir));
      await t.step("powers of two", () => assertPowers(dir));
      const { code, text } = await runProgram(`${dir}/rounding`, ["exp2", "", ""], {
        THINKER_EMU_ROUNDING: "up",
      });
      assertMatch(text, /THINKER_EMU_ROUNDING is "up", not nearest or h100/);
      assertEquals(code, 134);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}
