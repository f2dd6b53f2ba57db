/**
 * Prints the hosts that a task connects to, for `--allow-net=$(deno run -q -E cli/hub_hosts.ts)`: the hub's,
 * with `github` GitHub's too, and those of THINKER_NET.
 */
import { hubHosts } from "./hub_endpoint.ts";

console.log(hubHosts({ github: Deno.args.includes("github") }).join(","));
