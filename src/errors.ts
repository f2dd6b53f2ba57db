/**
 * The one error class for mistakes a user can mend: the CLI prints its message on one line and
 * exits 1, without a stack trace.
 *
 * @module
 */

/** A user's mistake: bad option, bad file, missing compiler, impossible budget. */
export class UserError extends Error {
  override readonly name = "UserError";
  /** What the user can do about it, as one short sentence. */
  readonly hint?: string;

  /**
   * @param message What is wrong and where, on one line.
   * @param options `hint`: what to do; `cause`: the underlying error.
   */
  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
  }
}
