/**
 * Where built libraries live. Kept free of other imports: `deno task` runs it to compute the
 * path-scoped `--allow-ffi` permission.
 *
 * @module
 */

/**
 * The cache folder: `$XDG_CACHE_HOME/thinker`, else `$HOME/.cache/thinker`.
 *
 * @throws {Error} when neither variable is set.
 */
export function cacheDir(): string {
  const xdg = Deno.env.get("XDG_CACHE_HOME");
  if (xdg) return `${xdg}/thinker`;
  const home = Deno.env.get("HOME");
  if (home) return `${home}/.cache/thinker`;
  throw new Error("no cache folder: neither XDG_CACHE_HOME nor HOME is set");
}
