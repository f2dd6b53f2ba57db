/** Prints the hosts that `thinker data` connects to, for `--allow-net=$(deno run -q -E cli/hub_hosts.ts)`. */
import { dataHosts } from "./hub_endpoint.ts";

console.log(dataHosts().join(","));
