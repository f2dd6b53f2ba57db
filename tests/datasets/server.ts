/**
 * A hub on this machine: it resolves files as huggingface.co does (a redirect to a second server, with
 * commit and checksum in the first answer), serves the paths of GitHub's files too, and drops connections.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the servers do and have seen. */
export class FakeHub implements AsyncDisposable {
  /** Files by `repo/path`. */
  readonly files: Map<string, Uint8Array> = new Map();
  /** The commit of every data set. */
  commit = "0123456789abcdef0123456789abcdef01234567";
  /** Bytes after which each of the next connections is dropped. */
  drops: number[] = [];
  /** Answers of the next requests instead of the file. */
  failures: { status: number; headers?: Record<string, string> }[] = [];
  /** Whether small files are sent at once, with a git blob id as ETag, and no redirect. */
  direct = false;
  /** Whether ranges are understood. */
  ranges = true;
  /** Whether the first server asks for a token. */
  gated = false;
  /** Changes bytes on their way. */
  corrupt: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes;
  /** Paths, ranges and tokens of all requests, in order. */
  readonly requests: { server: "hub" | "cdn"; path: string; range?: string; token?: string }[] = [];
  readonly #hub: Server;
  readonly #cdn: Server;

  private constructor() {
    this.#hub = createServer((request, response) => this.#resolve(request, response));
    this.#cdn = createServer((request, response) => {
      this.#note("cdn", request);
      this.#send(decodeURIComponent(request.url!.slice(1)), request, response, {});
    });
  }

  /** Starts both servers on free ports of 127.0.0.1. */
  static async start(): Promise<FakeHub> {
    const hub = new FakeHub();
    for (const server of [hub.#hub, hub.#cdn]) {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    }
    return hub;
  }

  /** The address of the first server, for both kinds of sources. */
  get url(): string {
    return addressOf(this.#hub);
  }

  #note(server: "hub" | "cdn", request: IncomingMessage): void {
    const { range, authorization: token } = request.headers;
    this.requests.push({ server, path: request.url!, range, token });
  }

  #resolve(request: IncomingMessage, response: ServerResponse): void {
    this.#note("hub", request);
    const failure = this.failures.shift();
    if (failure) {
      response.writeHead(failure.status, failure.headers).end("no");
      return;
    }
    if (this.gated && request.headers.authorization !== "Bearer secret") {
      response.writeHead(401).end("who are you?");
      return;
    }
    const hub = /^\/datasets\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(request.url!);
    const github = /^\/([^/]+\/[^/]+)\/([0-9a-f]{40})\/(.+)$/.exec(request.url!);
    const [, repo, revision, path] = hub ?? github ?? [];
    const name = `${repo}/${decodeURIComponent(path ?? "")}`, bytes = this.files.get(name);
    if (!bytes || (hub && revision !== "main" && revision !== this.commit)) {
      response.writeHead(404).end("no such entry");
      return;
    }
    if (github) {
      this.#send(name, request, response, { etag: `W/"${sha256(bytes)}"` });
    } else if (this.direct) {
      this.#send(name, request, response, {
        etag: `"${gitBlob(bytes)}"`,
        "x-repo-commit": this.commit,
      });
    } else {
      response.writeHead(302, {
        location: `${addressOf(this.#cdn)}/${encodeURIComponent(name)}`,
        "x-repo-commit": this.commit,
        "x-linked-etag": `"${sha256(bytes)}"`,
        "x-linked-size": String(bytes.length),
      }).end();
    }
  }

  #send(
    name: string,
    request: IncomingMessage,
    response: ServerResponse,
    headers: Record<string, string>,
  ): void {
    const whole = this.corrupt(this.files.get(name)!);
    const start = this.ranges
      ? Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0)
      : 0;
    if (start >= whole.length && start > 0) {
      response.writeHead(416, { "content-range": `bytes */${whole.length}` }).end();
      return;
    }
    const body = whole.subarray(start);
    const range = start > 0
      ? { "content-range": `bytes ${start}-${whole.length - 1}/${whole.length}` }
      : {};
    const drop = this.drops.shift();
    response.writeHead(start > 0 ? 206 : 200, {
      "content-length": String(body.length),
      ...range,
      ...headers,
    });
    if (drop === undefined || drop >= body.length) response.end(Buffer.from(body));
    // The socket goes once the bytes are out: the client sees a body that stops short.
    else response.write(Buffer.from(body.subarray(0, drop)), () => response.destroy());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
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
