/**
 * The one error class for mistakes a user can correct: the CLI prints its message on one line and
 * exits 1, without a stack trace. Also how a refusal of the operating system becomes one.
 *
 * @module
 */

/** A user's mistake: bad option, bad file, missing compiler, impossible budget. */
export class UserError extends Error {
  /** Tells it from other errors where classes are lost, e.g. between workers. */
  override readonly name = "UserError";
  /** What the user can do about it, as one short sentence. */
  readonly hint?: string;

  /**
   * An error to show without a stack trace.
   *
   * @param message What is wrong and where, on one line.
   * @param options `hint`: what to do; `cause`: the underlying error.
   */
  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
  }
}

/** The message of whatever was thrown, on one line; of the system's, only the part for people. */
export function reason(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.replace(/ \(os error \d+\).*/s, "").replaceAll(/\s+/g, " ");
}

/**
 * What a thrown value stands for. Where leaving a `using` scope failed on top of an error, the runtime throws
 * a SuppressedError, which shows neither: here is the first error, then those of disposing.
 */
export function unfold(thrown: unknown): unknown[] {
  return thrown instanceof SuppressedError
    ? [...unfold(thrown.suppressed), ...unfold(thrown.error)]
    : [thrown];
}

/** What to throw when a file could not be written: one line where the system refused to. */
export function writeError(path: string, cause: unknown): unknown {
  if (!isSystemError(cause)) return cause;
  return new UserError(`cannot write ${path}: ${reason(cause)}`, {
    hint: "check that the folder exists, is writable and has room",
    cause,
  });
}

/** Whether the operating system refused, as opposed to a mistake in the program. */
function isSystemError(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  // Some refusals (a file size limit, for one) have neither a class nor a code of their own.
  return "code" in cause || /\(os error \d+\)/.test(cause.message) ||
    Object.values(Deno.errors).some((kind) => cause instanceof kind);
}
