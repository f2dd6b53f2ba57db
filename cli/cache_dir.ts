/** Prints where libraries are loaded from, for `"--allow-ffi=$(deno run -q -E cli/cache_dir.ts)"`. */
import { permissionList } from "./permission_list.ts";

console.log(permissionList(["cache", Deno.env.get("THINKER_LIB")]));
