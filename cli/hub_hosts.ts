/** Prints the hosts that `thinker data` connects to, for `--allow-net=$(deno run -q -E cli/hub_hosts.ts)`. */
import { hubEndpoint, publicHosts } from "./hub_endpoint.ts";

const hosts = [...publicHosts];
try {
  hosts.push(new URL(hubEndpoint()).host);
} catch {
  // The command says what is wrong with the address.
}
console.log([...new Set(hosts)].join(","));
