/**
 * What a model repository holds.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { check, UserError } from "../base/mod.ts";
import type { Digest } from "./digest.ts";
import type { Hub } from "./endpoint.ts";

/** A file of a repository, with what tells that it has arrived whole. */
export interface RemoteFile {
  /** Path below the repository's root, with slashes. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Digest of the content: SHA-256 of large files (LFS), git's SHA-1 of a blob of the others. */
  readonly digest: Digest;
}

/** A repository at one commit. */
export interface Repository {
  /** Owner and name. */
  readonly name: string;
  /** The commit, 40 hexadecimal digits. */
  readonly commit: string;
  /** All files of that commit. */
  readonly files: readonly RemoteFile[];
}

const revisionSchema = z.looseObject({ sha: z.string().regex(/^[0-9a-f]{40}$/) });
const entrySchema = z.looseObject({
  type: z.string(),
  path: z.string().min(1),
  size: z.int().nonnegative().default(0),
  oid: z.string().default(""),
  lfs: z.looseObject({ oid: z.string(), size: z.int().nonnegative() }).nullish(),
});
const treeSchema = z.array(entrySchema);

/** What to do about an answer that is not the hub's. */
const unexpected = "the answer is not that of a hub: check HF_ENDPOINT";

/** Pages of a listing that are followed; at a thousand files each this is more than any model has. */
const maxPages = 1000;

/**
 * Asks the hub which commit a revision is and what it holds.
 *
 * @param name `owner/name`, or a bare name for the oldest repositories.
 * @param revision A branch, tag or commit.
 * @throws {UserError} when there is no such repository or revision, or its listing cannot be trusted.
 */
export async function openRepository(
  hub: Hub,
  name: string,
  revision: string,
): Promise<Repository> {
  if (!/^([\w.-]+\/)?[\w.-]+$/.test(name) || /(^|\/)\.+(\/|$)/.test(name)) {
    throw new UserError(`${JSON.stringify(name)} is no repository name`, {
      hint: "write OWNER/NAME, for example Qwen/Qwen2.5-1.5B",
    });
  }
  if (revision === "" || /[^\x21-\x7e]/.test(revision)) {
    throw new UserError(`${JSON.stringify(revision)} is no revision`, {
      hint: "write a branch, a tag or a commit",
    });
  }
  const where = `${hub.endpoint}: ${name}`;
  const json = (path: string) =>
    hub.retry(where, async () => {
      const response = await hub.get(path, { accept: "application/json" });
      return { content: await response.json(), next: nextPage(response.headers) };
    });
  const about = await json(`/api/models/${name}/revision/${encodeURIComponent(revision)}`);
  const { sha: commit } = check(revisionSchema, about.content, where, unexpected);
  const files: RemoteFile[] = [];
  let path: string | undefined = `/api/models/${name}/tree/${commit}?recursive=true`;
  for (let page = 0; path !== undefined; page++) {
    if (page === maxPages) throw new UserError(`${where}: its listing has no end`);
    const listed: Awaited<ReturnType<typeof json>> = await json(path);
    for (const entry of check(treeSchema, listed.content, where, unexpected)) {
      if (entry.type === "file") files.push(remoteFile(entry, where));
    }
    path = listed.next;
  }
  return { name, commit, files };
}

/** Where a file lies below the hub's address. */
export function resolvePath(repository: string, revision: string, path: string): string {
  return `/${repository}/resolve/${encodeURIComponent(revision)}/${encodePath(path)}`;
}

/** A file's path as part of an address. */
export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

function remoteFile(entry: z.infer<typeof entrySchema>, where: string): RemoteFile {
  const { path, lfs } = entry;
  const parts = path.split("/");
  // A backslash or a drive letter would mean something on other systems.
  if (parts.some((part) => part === "" || part === "." || part === "..") || /[\\:\0]/.test(path)) {
    throw new UserError(`${where}: the file name ${JSON.stringify(path)} leaves its folder`, {
      hint: "do not use this repository",
    });
  }
  const hex = (lfs?.oid ?? entry.oid).replace(/^sha256:/, "");
  const kind = lfs ? "sha256" : "git-blob";
  if (!new RegExp(`^[0-9a-f]{${lfs ? 64 : 40}}$`).test(hex)) {
    throw new UserError(`${where}: ${path} comes without a digest`, {
      hint: "what cannot be checked is not downloaded: check HF_ENDPOINT",
    });
  }
  return { path, size: lfs?.size ?? entry.size, digest: { kind, hex } };
}

/** Path and query of the next page, from a `Link` header; pages of other servers are not followed. */
function nextPage(headers: Headers): string | undefined {
  const link = headers.get("link")?.match(/<([^>]*)>\s*;\s*rel="?next"?/)?.[1];
  if (link === undefined) return undefined;
  const { pathname, search } = new URL(link, "http://hub");
  const api = pathname.indexOf("/api/models/");
  return api < 0 ? undefined : pathname.slice(api) + search;
}
