/** Prints the folder of built libraries, for `--allow-ffi=$(deno run -q -E cli/cache_dir.ts)`. */
import { cacheDir } from "../ffi/cache.ts";

console.log(cacheDir());
