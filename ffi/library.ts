/**
 * A loaded backend library: the one place that calls `Deno.dlopen`.
 *
 * @module
 */

import { UserError } from "../src/errors.ts";
import { ABI_VERSION, symbols } from "./symbols.ts";

/** The typed functions of the ABI. */
export type Symbols = Deno.DynamicLibrary<typeof symbols>["symbols"];

const hint = "rebuild the library, or unset THINKER_LIB";

/** An error that a native function reported; its message starts with the op's name. */
export class NativeError extends Error {
  override readonly name = "NativeError";
}

/** A backend library with checked calls. Using it after `close` throws. */
export class Library implements Disposable {
  readonly path: string;
  #library: Deno.DynamicLibrary<typeof symbols> | undefined;

  /**
   * @param path The shared library to load.
   * @throws {UserError} when it cannot be loaded or reports another ABI version.
   */
  constructor(path: string) {
    this.path = path;
    limitSpinning();
    try {
      this.#library = Deno.dlopen(path, symbols);
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new UserError(`cannot load ${path}: ${reason.split("\n")[0]}`, { hint, cause: error });
    }
    const version = this.symbols.tk_abi_version();
    if (version !== ABI_VERSION) {
      this.close();
      throw new UserError(
        `${path} speaks ABI version ${version}, this program version ${ABI_VERSION}`,
        { hint },
      );
    }
  }

  /** The functions of the library. */
  get symbols(): Symbols {
    if (!this.#library) throw new Error(`the library ${this.path} is closed`);
    return this.#library.symbols;
  }

  /** Throws a NativeError with the library's message unless the status is 0. */
  check(op: string, status: number): void {
    if (status === 0) return;
    const buffer = new Uint8Array(1024);
    this.symbols.tk_last_error(buffer, buffer.length);
    const message = new TextDecoder().decode(buffer.subarray(0, buffer.indexOf(0)));
    throw new NativeError(`${op}: ${message}`);
  }

  /** Unloads the library. */
  close(): void {
    this.#library?.close();
    this.#library = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
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
