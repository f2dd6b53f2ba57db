/** The program's version, as deno.json has it, which an import from a URL does not bring along. */
export const version = "0.1.0";
