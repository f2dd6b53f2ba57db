/**
 * The metadata of a GGUF file, read with the type that is expected there.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import type { GgufFile, GgufValue } from "./gguf.ts";

/** A file's metadata; every reader refuses a value of another type with a {@linkcode UserError}. */
export class Metadata {
  readonly #path: string;
  readonly #values: ReadonlyMap<string, GgufValue>;

  /** Reads the metadata of this file. */
  constructor({ path, metadata }: Pick<GgufFile, "path" | "metadata">) {
    this.#path = path;
    this.#values = metadata;
  }

  /** Refuses the file. */
  refuse(message: string, hint: string): never {
    throw new UserError(`${this.#path}: ${message}`, { hint });
  }

  #read<T>(
    key: string,
    is: (value: GgufValue) => value is GgufValue & T,
    what: string,
  ): T | undefined {
    const value = this.#values.get(key);
    if (value === undefined || is(value)) return value;
    return this.refuse(`metadata ${key} is not ${what}`, "the file is damaged: get it again");
  }

  #need<T>(key: string, value: T | undefined): T {
    if (value !== undefined) return value;
    return this.refuse(`metadata ${key} is missing`, "the file holds no complete language model");
  }

  /** Text. */
  text(key: string): string | undefined {
    return this.#read(key, (value) => typeof value === "string", "text");
  }

  /** True or false. */
  flag(key: string): boolean | undefined {
    return this.#read(key, (value) => typeof value === "boolean", "true or false");
  }

  /** A float32 as the shortest decimal that stands for it: 1e-5, not 9.999999747378752e-6. */
  real(key: string): number | undefined {
    const value = this.#read<number>(key, (value) => typeof value === "number", "a number");
    if (value === undefined || Number.isInteger(value)) return value;
    const short = Number(value.toPrecision(7));
    return Math.fround(short) === value ? short : value;
  }

  /** A whole number, not negative. */
  count(key: string): number | undefined {
    const value = this.#values.get(key);
    const number = typeof value === "bigint" ? Number(value) : value;
    if (number === undefined) return undefined;
    if (typeof number === "number" && Number.isSafeInteger(number) && number >= 0) return number;
    return this.refuse(`metadata ${key} is not a count`, "the file is damaged: get it again");
  }

  /** Text that must be there. */
  needText(key: string): string {
    return this.#need(key, this.text(key));
  }

  /** A number that must be there. */
  needReal(key: string): number {
    return this.#need(key, this.real(key));
  }

  /** A whole number that must be there. */
  needCount(key: string): number {
    return this.#need(key, this.count(key));
  }

  /** A list of texts that must be there. */
  needTexts(key: string): readonly string[] {
    const isTexts = (value: GgufValue): value is readonly string[] =>
      Array.isArray(value) && value.every((item) => typeof item === "string");
    return this.#need(key, this.#read(key, isTexts, "a list of texts"));
  }

  /** A list of numbers. */
  numbers(key: string): ArrayLike<number> | undefined {
    const isNumbers = (value: GgufValue): value is ArrayLike<number> & GgufValue =>
      value instanceof Int32Array || value instanceof Uint32Array ||
      value instanceof Float32Array;
    return this.#read(key, isNumbers, "a list of numbers");
  }
}
