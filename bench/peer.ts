/**
 * A child process that answers one line to each line it is sent.
 *
 * @module
 */

/** The process, from its start to `dispose`. */
export class Peer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  #rest = "";

  /** Starts the program; what it writes to standard error goes to ours. */
  constructor(program: string, args: readonly string[]) {
    const command = new Deno.Command(program, {
      args: [...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    });
    this.#child = command.spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /**
   * Sends a line and waits for the answer.
   *
   * @throws {Error} when the process ends instead.
   */
  async ask(line: string): Promise<string> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const answer = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return answer;
      }
      const { done, value } = await this.#output.read();
      if (done) throw new Error(`the child process ended at the command ${line}`);
      this.#rest += value;
    }
  }

  /** Ends the process by closing its input, and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {}); // it may be gone already
    for (;;) if ((await this.#output.read()).done) break;
    await this.#child.status;
  }
}
