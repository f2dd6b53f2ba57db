/** Prints where libraries are loaded from, for `--allow-ffi=$(deno run -q -E cli/cache_dir.ts)`. */
import { cacheDir } from "../ffi/cache.ts";

const override = Deno.env.get("THINKER_LIB");
console.log(override ? `${cacheDir()},${override}` : cacheDir());
