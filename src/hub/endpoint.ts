/**
 * Requests to a hub: token, redirects, retries, and one clear line for every refusal.
 *
 * @module
 */
import { parseJson, reason, UserError } from "../base/mod.ts";

/** The hub that is asked where nothing else is said. */
export const defaultEndpoint = "https://huggingface.co";

/** How to reach a hub. */
export interface HubOptions {
  /** The hub's address; default {@linkcode defaultEndpoint}. */
  readonly endpoint?: string;
  /** Access token; sent to the endpoint alone, never to the storage that it redirects to. */
  readonly token?: string;
  /** Seconds to wait before the first retry, doubled each time; default 1. */
  readonly retrySeconds?: number;
  /** Seconds without a byte after which a connection counts as dropped; default 60. */
  readonly stallSeconds?: number;
  /** Aborting makes every call reject with its reason. */
  readonly signal?: AbortSignal;
}

/** A failure that may pass: a dropped connection, a busy server. */
export class Transient extends Error {
  /** Tells it from other errors. */
  override readonly name = "Transient";

  /**
   * A passing failure.
   *
   * @param waitSeconds What the server asked for, if it did.
   */
  constructor(
    message: string,
    /** Seconds that the server asked to wait. */
    readonly waitSeconds?: number,
  ) {
    super(message);
  }
}

/** A refusal that asking again does not change. */
export class Refusal extends UserError {
  /**
   * What the server answered.
   *
   * @param status Of HTTP.
   */
  constructor(message: string, readonly status: number, options: { hint?: string } = {}) {
    super(message, options);
  }
}

/** Attempts without progress before a request is given up. */
const attempts = 5;
/** Redirects followed for one request. */
const maxRedirects = 5;
/** The longest wait before a retry, in seconds. */
const longestWait = 60;

/** A hub. */
export class Hub {
  /** Address without a slash at its end. */
  readonly endpoint: string;
  readonly #token: string | undefined;
  readonly #retrySeconds: number;
  readonly #stallSeconds: number;
  readonly #signal: AbortSignal | undefined;

  /**
   * Nothing is asked yet.
   *
   * @throws {UserError} when the endpoint is no http(s) address, or the token no header can carry.
   */
  constructor(options: HubOptions = {}) {
    const endpoint = options.endpoint ?? defaultEndpoint;
    if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
      throw new UserError(`the hub's address ${JSON.stringify(endpoint)} is no http(s) address`, {
        hint: "correct HF_ENDPOINT, or unset it",
      });
    }
    if (options.token !== undefined && !/^[\x21-\x7e]+$/.test(options.token)) {
      throw new UserError("the hub token holds characters that no token has", {
        hint: "correct HF_TOKEN, or unset it",
      });
    }
    this.endpoint = endpoint.replace(/\/+$/, "");
    this.#token = options.token;
    this.#retrySeconds = options.retrySeconds ?? 1;
    this.#stallSeconds = options.stallSeconds ?? 60;
    this.#signal = options.signal;
  }

  /**
   * Calls `attempt` until it succeeds, with growing waits. Attempts that got further than the one before
   * (see `progress`) do not count as failed.
   *
   * @param progress A number that grows whenever an attempt gets somewhere.
   * @throws {UserError} when several attempts in a row got nowhere.
   */
  async retry<T>(
    what: string,
    attempt: () => Promise<T>,
    progress: () => number = () => 0,
  ): Promise<T> {
    let failed = 0, reached = progress();
    for (;;) {
      this.#signal?.throwIfAborted();
      try {
        return await attempt();
      } catch (error) {
        this.#signal?.throwIfAborted();
        if (!(error instanceof Transient)) throw error;
        failed = progress() > reached ? 1 : failed + 1;
        reached = progress();
        if (failed >= attempts) {
          throw new UserError(`${what}: ${error.message}, ${attempts} times in a row`, {
            hint: "run the same command again: what has arrived is kept",
            cause: error,
          });
        }
        const backoff = this.#retrySeconds * 2 ** (failed - 1);
        await this.#pause(Math.min(longestWait, error.waitSeconds ?? backoff));
      }
    }
  }

  /**
   * One GET request, redirects followed. The body is the caller's to read or cancel.
   *
   * @param path Below the endpoint, beginning with a slash.
   * @throws {Transient} for dropped connections and busy servers.
   * @throws {UserError} for everything that asking again does not change; a {@linkcode Refusal} where
   *   the server answered.
   */
  async get(path: string, headers: Record<string, string> = {}): Promise<HubResponse> {
    let url = new URL(this.endpoint + path), first: Headers | undefined;
    const { origin } = url;
    for (let hop = 0; hop <= maxRedirects; hop++) {
      const sent: Record<string, string> = { "accept-encoding": "identity", ...headers };
      if (this.#token !== undefined && url.origin === origin) {
        sent.authorization = `Bearer ${this.#token}`;
      }
      const watch = new Watch(this.#stallSeconds, this.#signal);
      let response: Response;
      try {
        response = await fetch(url, { headers: sent, redirect: "manual", signal: watch.signal });
      } catch (cause) {
        watch.stop();
        throw this.#failure(cause, url);
      }
      first ??= response.headers;
      if (response.status >= 300 && response.status < 400) {
        watch.stop();
        await response.body?.cancel();
        url = redirected(url, response.headers.get("location"));
        continue;
      }
      if (response.ok) {
        return new HubResponse(response, first, watch, (cause) => this.#failure(cause, url));
      }
      watch.stop();
      await response.body?.cancel();
      throw this.#refusal(response, path);
    }
    throw new UserError(`${this.endpoint}${path}: more than ${maxRedirects} redirects`);
  }

  /** What went wrong below HTTP. */
  #failure(cause: unknown, url: URL): unknown {
    if (this.#signal?.aborted) return this.#signal.reason;
    if (cause instanceof Deno.errors.NotCapable) {
      const own = new URL(this.endpoint);
      if (url.host !== own.host) {
        return new UserError(
          `${own.host} sends files from ${url.host}, which this task may not reach`,
          { hint: `if you trust that host: THINKER_NET=${url.host} deno task …`, cause },
        );
      }
      return new UserError(`no permission to reach ${url.host}`, {
        hint: "only `deno task model download …` and `deno task data` may use the network",
        cause,
      });
    }
    if (cause instanceof Stalled) return new Transient(cause.message);
    return new Transient(`${url.host}: ${reason(cause)}`);
  }

  /** What a status other than success means. */
  #refusal(response: Response, path: string): Error {
    const { status, headers } = response;
    if (status === 429 || status >= 500) {
      const wait = Number(headers.get("retry-after") ?? NaN);
      return new Transient(
        `${this.endpoint} answers ${status}`,
        Number.isFinite(wait) && wait >= 0 ? wait : undefined,
      );
    }
    const message = headers.get("x-error-message")?.slice(0, 200).replaceAll(/\s+/g, " ");
    const said = `${this.endpoint}${path} answers ${status}${message ? ` (${message})` : ""}`;
    const hint = status === 401 || status === 404
      ? `check the spelling of repository and revision${
        this.#token === undefined ? "; private ones need HF_TOKEN" : ", and what HF_TOKEN may see"
      }`
      : status === 403
      ? "accept the model's terms on its page, and set HF_TOKEN to a token that may read it"
      : undefined;
    return new Refusal(said, status, { hint });
  }

  async #pause(seconds: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, 1000 * seconds);
    const onAbort = () => reject(this.#signal!.reason);
    this.#signal?.addEventListener("abort", onAbort);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#signal?.removeEventListener("abort", onAbort);
    }
  }
}

/** A successful answer. */
export class HubResponse {
  /** Its status. */
  readonly status: number;
  /** Its headers. */
  readonly headers: Headers;
  /** The headers of the first answer: where it redirected, the hub told about the file only there. */
  readonly first: Headers;
  readonly #response: Response;
  readonly #watch: Watch;
  readonly #failure: (cause: unknown) => unknown;

  /** Made by {@linkcode Hub.get}. */
  constructor(
    response: Response,
    first: Headers,
    watch: Watch,
    failure: (cause: unknown) => unknown,
  ) {
    this.first = first;
    this.status = response.status;
    this.headers = response.headers;
    this.#response = response;
    this.#watch = watch;
    this.#failure = failure;
  }

  /** The body piece by piece. Leaving the loop early closes the connection. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#response.body ?? []) {
        this.#watch.reset();
        yield chunk;
      }
    } catch (cause) {
      throw this.#failure(cause);
    } finally {
      this.#watch.stop();
    }
  }

  /**
   * The body as JSON.
   *
   * @throws {UserError} when it is none, or larger than any listing.
   */
  async json(): Promise<unknown> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of this.chunks()) {
      parts.push(chunk);
      bytes += chunk.length;
      if (bytes > 64 * 2 ** 20) throw new UserError("the hub's listing exceeds 64 MiB");
    }
    const whole = await new Blob(parts as BlobPart[]).bytes();
    return parseJson(whole, "the hub's answer", "check HF_ENDPOINT");
  }

  /** Closes the connection without reading the body. */
  async cancel(): Promise<void> {
    this.#watch.stop();
    await this.#response.body?.cancel();
  }
}

/** Nothing arrived for too long. */
class Stalled extends Error {}

/** Aborts a request that stalls or that its caller gives up. */
class Watch {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #seconds: number;
  readonly #outer: AbortSignal | undefined;
  readonly #onAbort = () => this.#controller.abort(this.#outer!.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(seconds: number, outer: AbortSignal | undefined) {
    this.#seconds = seconds;
    this.#outer = outer;
    this.signal = this.#controller.signal;
    outer?.addEventListener("abort", this.#onAbort);
    this.reset();
  }

  reset(): void {
    clearTimeout(this.#timer);
    const stalled = () =>
      this.#controller.abort(new Stalled(`nothing arrived for ${this.#seconds} s`));
    this.#timer = setTimeout(stalled, 1000 * this.#seconds);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#onAbort);
  }
}

function redirected(from: URL, location: string | null): URL {
  const to = location !== null && URL.canParse(location, from)
    ? new URL(location, from)
    : undefined;
  const downgraded = from.protocol === "https:" && to?.protocol !== "https:";
  if (to === undefined || downgraded || !/^https?:$/.test(to.protocol)) {
    throw new UserError(`${from.origin} redirects to ${JSON.stringify(location)}`, {
      hint: "a hub redirects to http(s) addresses, and from https to https only",
    });
  }
  return to;
}
