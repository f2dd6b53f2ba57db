/**
 * Which hub to talk to, which hosts that means, and whether the program may.
 *
 * @module
 */
import { publicEndpoints } from "../src/datasets/mod.ts";

/** The hub's address: HF_ENDPOINT names a mirror, as with Hugging Face's own tools. */
export function hubEndpoint(): string {
  return Deno.env.get("HF_ENDPOINT")?.trim() || publicEndpoints.hub;
}

/** Access token of the hub, if one is set. */
export function hubToken(): string | undefined {
  return Deno.env.get("HF_TOKEN")?.trim() || undefined;
}

/** Whether the program may connect to the hub; under `deno task thinker` it may not. */
export async function mayConnect(): Promise<boolean> {
  const named = await Deno.permissions.query({ name: "env", variable: "HF_ENDPOINT" });
  if (named.state !== "granted") return false;
  const host = URL.parse(hubEndpoint())?.host; // none: refused with a clear line where it is used
  return host === undefined ||
    (await Deno.permissions.query({ name: "net", host })).state === "granted";
}

/** Only a download may use the network, though all of `thinker model` shares one task. */
export async function withoutNetwork(): Promise<void> {
  await Deno.permissions.revoke({ name: "net" });
}

/**
 * Every host that models, or with `github` data sets, come from. The hub sends large files from hosts below
 * these two domains: https://huggingface.co/.well-known/meta.json lists them.
 */
export function hubHosts({ github }: { readonly github: boolean }): string[] {
  const addresses = [publicEndpoints.hub, hubEndpoint(), github ? publicEndpoints.github : ""];
  const named = addresses.map((address) => URL.parse(address)?.host ?? "");
  const more = (Deno.env.get("THINKER_NET") ?? "").split(",").map((host) => host.trim());
  const hosts = [...named, "*.huggingface.co", "*.hf.co", ...more];
  return [...new Set(hosts.filter((host) => host !== ""))];
}
