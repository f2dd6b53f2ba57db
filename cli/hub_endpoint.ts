/**
 * Which hub to talk to, and which hosts that means.
 *
 * @module
 */
import { publicEndpoints } from "../src/datasets/mod.ts";

/** The hub's address: HF_ENDPOINT names a mirror, as with Hugging Face's own tools. */
export function hubEndpoint(): string {
  return Deno.env.get("HF_ENDPOINT")?.trim() || publicEndpoints.hub;
}

/** Every host that data sets come from; the hub sends large files from hosts of their own. */
export function dataHosts(): string[] {
  const { hub, github } = publicEndpoints;
  const hosts = [hub, github, hubEndpoint()].map((address) => URL.parse(address)?.host);
  return [...new Set([...hosts, "*.huggingface.co", "*.hf.co"])].filter((host) =>
    host !== undefined
  );
}
