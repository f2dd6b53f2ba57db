/**
 * Where built libraries live. Kept free of other imports: `deno task` runs it to compute the
 * path-scoped permissions.
 *
 * @module
 */

/**
 * The cache folder: `$XDG_CACHE_HOME/thinker`, else `$HOME/.cache/thinker`. A relative path counts as not
 * set, as the specification of these folders asks.
 *
 * @throws {Error} when neither variable names a folder, or Deno's permissions cannot name it.
 */
export function cacheDir(): string {
  const absolute = (variable: string, below = "") => {
    const path = Deno.env.get(variable);
    return path?.startsWith("/") ? path.replace(/\/+$/, "") + below : undefined;
  };
  const above = absolute("XDG_CACHE_HOME") ?? absolute("HOME", "/.cache");
  if (above === undefined) {
    throw new Error("no cache folder: neither XDG_CACHE_HOME nor HOME names one by its full path");
  }
  const path = `${above}/thinker`;
  if (path.includes(",")) {
    throw new Error(
      `the cache folder ${path} has a comma in its path, and at commas Deno splits its lists`,
    );
  }
  return path;
}
