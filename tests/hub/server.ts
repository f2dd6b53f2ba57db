/**
 * A hub on 127.0.0.1: the API of a model, files of models, data sets and GitHub, storage on another port that
 * large files are redirected to, and faults.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What goes wrong, in the order of the requests for a file's bytes; each happens once. */
export type Fault =
  | { readonly status: number; readonly retryAfter?: number }
  /** The connection breaks after so many bytes of the body. */
  | { readonly dropAfter: number }
  /** Not a byte comes after so many. */
  | { readonly stallAfter: number };

/** How the servers behave; a test may change it meanwhile. */
export interface HubBehaviour {
  /** By path; every repository has the same. */
  files: Readonly<Record<string, Uint8Array>>;
  /** Files that lie in the storage (LFS); others come from the hub itself. */
  large: readonly string[];
  /** Faults by path, those to come. */
  faults: Readonly<Record<string, Fault[]>>;
  /** Whether a file can begin in the middle. */
  ranges: boolean;
  /** The digest that the listing has for a path instead of the true one. */
  digests: Readonly<Record<string, string>>;
  /** Changes bytes on their way. */
  corrupt: (bytes: Uint8Array) => Uint8Array;
  /** The only token that is let in. */
  token?: string;
  /** Entries of a page of the listing. */
  pageSize: number;
  /** The commit of every repository. */
  commit: string;
}

/** A request as the server saw it. */
export interface Seen {
  readonly server: "hub" | "storage";
  readonly path: string;
  readonly authorization?: string;
  readonly range?: string;
}

/** A running hub; dispose it. */
export class TestHub implements AsyncDisposable {
  readonly repository = "some-lab/small-model";
  readonly seen: Seen[] = [];
  /** Bytes of bodies that were sent. */
  sent = 0;
  readonly behaviour: HubBehaviour;
  readonly #hub = createServer((request, response) => this.#answer(request, response));
  readonly #storage = createServer((request, response) => {
    this.#note("storage", request);
    this.#send(decodeURIComponent(request.url!.slice(1)), request, response, {});
  });

  private constructor(behaviour: Partial<HubBehaviour>) {
    this.behaviour = {
      files: {},
      large: [],
      faults: {},
      ranges: true,
      digests: {},
      corrupt: (bytes) => bytes,
      pageSize: 1000,
      commit: "0123456789abcdef0123456789abcdef01234567",
      ...behaviour,
    };
  }

  /** Starts both servers on free ports. */
  static async start(behaviour: Partial<HubBehaviour>): Promise<TestHub> {
    const hub = new TestHub(behaviour);
    for (const server of [hub.#hub, hub.#storage]) {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    }
    return hub;
  }

  /** The hub's address, for files of GitHub too. */
  get endpoint(): string {
    return addressOf(this.#hub);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  #note(server: Seen["server"], { url, headers }: IncomingMessage): void {
    const { authorization, range } = headers;
    this.seen.push({ server, path: url!, authorization, range });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#note("hub", request);
    const { token, commit, files, large } = this.behaviour;
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      response.writeHead(401, { "x-error-message": "who are you?" }).end();
      return;
    }
    const { pathname, searchParams } = new URL(request.url!, this.endpoint);
    const api = `/api/models/${this.repository}`;
    if ([`${api}/revision/main`, `${api}/revision/refs%2Fpr%2F1`].includes(pathname)) {
      response.end(JSON.stringify({ sha: commit, id: this.repository }));
      return;
    }
    if (pathname === `${api}/tree/${commit}`) {
      this.#list(Number(searchParams.get("at")), response);
      return;
    }
    const [, resolved] = /^(?:\/datasets)?\/[^/]+\/[^/]+\/resolve\/(.+)$/.exec(pathname) ?? [];
    const [, github] = /^\/[^/]+\/[^/]+\/[0-9a-f]{40}\/(.+)$/.exec(pathname) ?? [];
    const [, revision, path] = /^([^/]+)\/(.+)$/.exec(resolved ?? `main/${github ?? ""}`) ?? [];
    const name = decodeURIComponent(path ?? ""), bytes = files[name];
    if (bytes === undefined || !["main", commit].includes(revision)) {
      response.writeHead(404).end();
    } else if (resolved === undefined) {
      this.#send(name, request, response, { etag: `W/"${sha256(bytes)}"` });
    } else if (large.includes(name)) {
      response.writeHead(302, {
        location: `${addressOf(this.#storage)}/${encodeURIComponent(name)}`,
        "x-repo-commit": commit,
        "x-linked-etag": `"${sha256(bytes)}"`,
        "x-linked-size": String(bytes.length),
      }).end();
    } else {
      const headers = { etag: `"${gitBlob(bytes)}"`, "x-repo-commit": commit };
      this.#send(name, request, response, headers);
    }
  }

  #list(at: number, response: ServerResponse): void {
    const { files, large, digests, pageSize, commit } = this.behaviour;
    const entries = Object.entries(files).map(([path, content]) => {
      const size = content.length;
      if (!large.includes(path)) {
        return { type: "file", path, size, oid: digests[path] ?? gitBlob(content) };
      }
      const lfs = { oid: digests[path] ?? sha256(content), size, pointerSize: 130 };
      return { type: "file", path, size, oid: "f".repeat(40), lfs };
    });
    const all = [{ type: "directory", path: "onnx", size: 0, oid: "e".repeat(40) }, ...entries];
    const next = at + pageSize;
    if (next < all.length) {
      const page = `/api/models/${this.repository}/tree/${commit}?recursive=true&at=${next}`;
      response.setHeader("link", `<${this.endpoint}${page}>; rel="next"`);
    }
    response.end(JSON.stringify(all.slice(at, next)));
  }

  #send(
    name: string,
    request: IncomingMessage,
    response: ServerResponse,
    headers: Record<string, string>,
  ): void {
    const { faults, files, ranges, corrupt } = this.behaviour;
    const fault = faults[name]?.shift();
    if (fault && "status" in fault) {
      const { status, retryAfter } = fault;
      const wait = retryAfter === undefined ? {} : { "retry-after": String(retryAfter) };
      response.writeHead(status, wait).end();
      return;
    }
    const whole = corrupt(files[name]), etag = headers.etag ?? `"${sha256(whole)}"`;
    const same = [undefined, etag].includes(request.headers["if-range"] as string | undefined);
    const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
    const start = ranges && same ? Number(asked ?? 0) : 0;
    if (start >= whole.length && start > 0) {
      response.writeHead(416, { "content-range": `bytes */${whole.length}` }).end();
      return;
    }
    const body = Buffer.from(whole.subarray(start));
    const range = `bytes ${start}-${whole.length - 1}/${whole.length}`;
    response.writeHead(start > 0 ? 206 : 200, {
      "content-length": String(body.length),
      ...start > 0 ? { "content-range": range } : {},
      ...headers,
      etag,
    });
    const limit = fault ? Math.min(body.length, Object.values(fault)[0]) : body.length;
    this.sent += limit;
    if (limit === body.length) response.end(body);
    else if (fault && "stallAfter" in fault) response.write(body.subarray(0, limit));
    // The socket goes once the bytes are out: the client sees a body that stops short.
    else response.write(body.subarray(0, limit), () => response.destroy());
  }
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function gitBlob(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
