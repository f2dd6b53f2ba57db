/**
 * Prints where a task may write, for `"--allow-write=$(deno run -q -E cli/write_dirs.ts runs cache)"`: the
 * folders that it names, and those of THINKER_WRITE.
 */
import { permissionList } from "./permission_list.ts";

console.log(permissionList([...Deno.args, ...(Deno.env.get("THINKER_WRITE") ?? "").split(",")]));
