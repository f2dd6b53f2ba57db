/** A hub on 127.0.0.1 with one model: its API, storage on another port that it redirects to, and faults. */
import { createHash } from "node:crypto";

/** What goes wrong, in the order of the requests for one path; each happens once. */
export type Fault =
  | { readonly status: number; readonly retryAfter?: number }
  /** The connection breaks after so many bytes of the body. */
  | { readonly dropAfter: number }
  /** Not a byte comes after so many. */
  | { readonly stallAfter: number };

/** How the server behaves. */
export interface HubBehaviour {
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Files that lie in the storage (LFS); others come from the hub itself. */
  readonly large?: readonly string[];
  /** Faults by path. */
  readonly faults?: Readonly<Record<string, readonly Fault[]>>;
  /** The storage cannot begin in the middle of a file. */
  readonly noRanges?: boolean;
  /** The digest that the listing has for a path instead of the true one. */
  readonly digests?: Readonly<Record<string, string>>;
  /** The only token that is let in. */
  readonly token?: string;
  /** Entries of a page of the listing. */
  readonly pageSize?: number;
  readonly commit?: string;
}

/** A request as the server saw it. */
export interface Seen {
  readonly server: "hub" | "storage";
  readonly path: string;
  readonly authorization: string | null;
  readonly range: string | null;
}

/** A running hub; dispose it. */
export class TestHub implements AsyncDisposable {
  readonly repository = "some-lab/small-model";
  readonly seen: Seen[] = [];
  /** Bytes of bodies that were handed to the network. */
  sent = 0;
  readonly #behaviour: HubBehaviour;
  readonly #commit: string;
  readonly #faults: Record<string, Fault[]>;
  readonly #hub: Deno.HttpServer<Deno.NetAddr>;
  readonly #storage: Deno.HttpServer<Deno.NetAddr>;
  readonly #stalled = new Set<() => void>();

  constructor(behaviour: HubBehaviour) {
    this.#behaviour = behaviour;
    this.#commit = behaviour.commit ?? "0123456789abcdef0123456789abcdef01234567";
    this.#faults = Object.fromEntries(
      Object.entries(behaviour.faults ?? {}).map(([path, faults]) => [path, [...faults]]),
    );
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {}, onError: () => broken() };
    this.#hub = Deno.serve(options, (request) => this.#answer("hub", request));
    this.#storage = Deno.serve(options, (request) => this.#answer("storage", request));
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#hub.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const release of this.#stalled) release();
    await Promise.all([this.#hub.shutdown(), this.#storage.shutdown()]);
  }

  #answer(server: Seen["server"], request: Request): Response {
    const { pathname: path, searchParams } = new URL(request.url);
    const authorization = request.headers.get("authorization");
    this.seen.push({ server, path, authorization, range: request.headers.get("range") });
    const { token } = this.#behaviour;
    if (server === "hub" && token !== undefined && authorization !== `Bearer ${token}`) {
      return new Response(null, { status: 401, headers: { "x-error-message": "who are you?" } });
    }
    const api = `/api/models/${this.repository}`;
    if (path === `${api}/revision/main` || path === `${api}/revision/refs%2Fpr%2F1`) {
      return Response.json({ sha: this.#commit, id: this.repository });
    }
    if (path === `${api}/tree/${this.#commit}`) {
      return this.#listing(Number(searchParams.get("at")));
    }
    const resolved = `/${this.repository}/resolve/${this.#commit}/`;
    if (!path.startsWith(resolved)) return new Response(null, { status: 404 });
    const name = decodeURIComponent(path.slice(resolved.length));
    const content = this.#behaviour.files[name];
    if (content === undefined) return new Response(null, { status: 404 });
    if (server === "hub" && this.#behaviour.large?.includes(name)) {
      const location = `http://127.0.0.1:${this.#storage.addr.port}${path}`;
      return new Response(null, { status: 302, headers: { location } });
    }
    return this.#file(name, content, request.headers.get("range"));
  }

  #listing(at: number): Response {
    const { files, large = [], digests = {}, pageSize = 1000 } = this.#behaviour;
    const entries = Object.entries(files).map(([path, content]) => {
      const blob = createHash("sha1").update(`blob ${content.length}\0`).update(content);
      const sha256 = createHash("sha256").update(content).digest("hex");
      const isLarge = large.includes(path);
      const lfs = { oid: digests[path] ?? sha256, size: content.length, pointerSize: 130 };
      const oid = isLarge ? "f".repeat(40) : digests[path] ?? blob.digest("hex");
      return { type: "file", path, size: content.length, oid, ...isLarge ? { lfs } : {} };
    });
    const all = [{ type: "directory", path: "onnx", size: 0, oid: "e".repeat(40) }, ...entries];
    const next = at + pageSize;
    const link = `<${this.endpoint}/api/models/${this.repository}/tree/${this.#commit}` +
      `?recursive=true&at=${next}>; rel="next"`;
    const headers: Record<string, string> = next < all.length ? { link } : {};
    return Response.json(all.slice(at, next), { headers });
  }

  #file(name: string, content: Uint8Array, range: string | null): Response {
    const fault = this.#faults[name]?.shift();
    if (fault && "status" in fault) {
      const wait = fault.retryAfter === undefined ? {} : { "retry-after": `${fault.retryAfter}` };
      return new Response(null, { status: fault.status, headers: wait as Record<string, string> });
    }
    const from = this.#behaviour.noRanges ? 0 : Number(range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
    const part = content.subarray(from);
    const headers: Record<string, string> = { "content-length": `${part.length}` };
    if (from > 0) {
      headers["content-range"] = `bytes ${from}-${content.length - 1}/${content.length}`;
    }
    const whole = fault === undefined
      ? part.length
      : Math.min(part.length, Object.values(fault)[0]);
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        if (at < whole) {
          const piece = part.slice(at, Math.min(whole, at + 16384));
          at += piece.length;
          this.sent += piece.length;
          controller.enqueue(piece);
        } else if (fault && "dropAfter" in fault) controller.error(new Error("dropped"));
        else if (fault) {
          const { promise, resolve } = Promise.withResolvers<void>();
          this.#stalled.add(resolve);
          await promise;
          controller.close();
        } else controller.close();
      },
    });
    return new Response(body, { status: from > 0 ? 206 : 200, headers });
  }
}

function broken(): Response {
  return new Response(null, { status: 500 });
}
