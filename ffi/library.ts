/**
 * A loaded backend library: the one place that calls `Deno.dlopen`.
 *
 * @module
 */

import { reason, UserError } from "../src/base/mod.ts";
import { ABI_VERSION, symbols } from "./generated/symbols.ts";

/** The typed functions of the ABI. */
export type Symbols = Deno.DynamicLibrary<typeof symbols>["symbols"];

const hint = "rebuild the library, or unset THINKER_LIB";

/** An error that a native function reported; its message starts with the op's name. */
export class NativeError extends Error {
  /** Tells it from other errors where classes are lost, e.g. between workers. */
  override readonly name = "NativeError";
  /** How to learn more, as one short sentence. */
  readonly hint?: string;

  /** A message, and what to do next. */
  constructor(message: string, options: { hint?: string } = {}) {
    super(message);
    this.hint = options.hint;
  }
}

/** A backend library with checked calls. Using it after `close` throws. */
export class Library implements Disposable {
  /** File of the shared library. */
  readonly path: string;
  #library: Deno.DynamicLibrary<typeof symbols> | undefined;

  /**
   * Loads a library after asking for its version.
   *
   * @param path The shared library to load.
   * @throws {UserError} when it cannot be loaded or reports another ABI version.
   */
  constructor(path: string) {
    this.path = path;
    limitSpinning();
    try {
      checkVersion(path);
      this.#library = Deno.dlopen(path, symbols);
    } catch (error) {
      if (error instanceof UserError || error instanceof Deno.errors.NotCapable) throw error;
      throw new UserError(`cannot load ${path}: ${reason(error)}`, { hint, cause: error });
    }
  }

  /** @internal The functions of the ABI. */
  get symbols(): Symbols {
    if (!this.#library) throw new Error(`the library ${this.path} is closed`);
    return this.#library.symbols;
  }

  /** What the last failed call of any thread had to say. */
  lastError(): string {
    const buffer = new Uint8Array(1024);
    this.symbols.tk_last_error(buffer, buffer.length);
    return new TextDecoder().decode(buffer.subarray(0, buffer.indexOf(0)));
  }

  /** Unloads the library. */
  close(): void {
    this.#library?.close();
    this.#library = undefined;
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** A library of another version may lack functions, so its version is asked for before the others. */
function checkVersion(path: string): void {
  const { tk_abi_version } = symbols;
  const library = Deno.dlopen(path, { tk_abi_version });
  const version = library.symbols.tk_abi_version();
  library.close();
  if (version !== ABI_VERSION) {
    throw new UserError(
      `${path} speaks ABI version ${version}, this program version ${ABI_VERSION}`,
      { hint },
    );
  }
}

/**
 * By default idle OpenMP threads of libgomp spin for milliseconds. On a machine that does anything else
 * they burn the time slice that the rest of their team waits for (measured: up to 60 times slower).
 * libgomp reads the variable when it is loaded; a user's own setting wins.
 */
function limitSpinning(): void {
  const names = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"];
  const granted = (variable: string) =>
    Deno.permissions.querySync({ name: "env", variable }).state === "granted";
  if (!names.every(granted) || names.some((name) => Deno.env.has(name))) return;
  Deno.env.set("GOMP_SPINCOUNT", "2000");
}
