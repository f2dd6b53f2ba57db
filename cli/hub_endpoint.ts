/**
 * Which hub to talk to.
 *
 * @module
 */
import { UserError } from "../src/errors.ts";

/** The hosts of GitHub's files and of the Hugging Face hub, which sends large files from elsewhere. */
export const publicHosts: readonly string[] = [
  "raw.githubusercontent.com",
  "huggingface.co",
  "*.huggingface.co",
  "*.hf.co",
];

/**
 * The hub's address: HF_ENDPOINT names a mirror, as with Hugging Face's own tools.
 *
 * @throws {UserError} when it is no address.
 */
export function hubEndpoint(): string {
  const address = Deno.env.get("HF_ENDPOINT") || "https://huggingface.co";
  if (!/^https?:$/.test(URL.parse(address)?.protocol ?? "")) {
    throw new UserError(`HF_ENDPOINT: ${address} is not an address such as https://huggingface.co`);
  }
  return address.replace(/\/+$/, "");
}
