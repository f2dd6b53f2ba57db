/**
 * The words of LaTeX that the parser knows.
 *
 * @module
 */
import type { RelationOp } from "./node.ts";

/** Signs and commands that make a relation. */
export const RELATIONS = new Map<string, RelationOp>([
  ["=", "="],
  ["<", "<"],
  [">", ">"],
  ["\\lt", "<"],
  ["\\gt", ">"],
  ["\\leq", "<="],
  ["\\geq", ">="],
  ["\\neq", "!="],
  ["\\in", "in"],
  ["\\approx", "~"],
  ["\\equiv", "="],
]);
/** Functions whose argument may stand without brackets. */
export const FUNCTIONS = new Set(
  ("sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh coth sech csch " +
    "arsinh arcosh artanh ln log lg exp cis").split(" ").map((name) => `\\${name}`),
);
/** Functions of a bracket with values side by side. */
export const MANY_VALUED = new Set(["\\min", "\\max", "\\gcd", "\\lcm"]);
/** What `\sin^{-1}` and its kin mean. */
export const INVERSE = new Map([
  ["\\sin", "\\arcsin"],
  ["\\cos", "\\arccos"],
  ["\\tan", "\\arctan"],
  ["\\cot", "\\arccot"],
  ["\\sinh", "\\arsinh"],
  ["\\cosh", "\\arcosh"],
  ["\\tanh", "\\artanh"],
]);
/** Letters that name functions when a bracket follows; others are factors: `n(n-1)`. */
export const FUNCTION_LETTERS = new Set(["f", "g", "h", "F", "G", "H"]);
/** Commands that are letters. */
export const GREEK: RegExp = new RegExp(
  "^\\\\(?:alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|mu|" +
    "nu|xi|rho|varrho|sigma|tau|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|" +
    "Sigma|Upsilon|Phi|Psi|Omega|ell|hbar|emptyset|aleph)$",
);
/** Commands that make another symbol of the one in their braces. */
export const ACCENTS = new Set(
  ("dot ddot hat widehat bar overline vec tilde mathbf mathcal mathbb boldsymbol bm overrightarrow " +
    "overleftrightarrow")
    .split(" ").map((name) => `\\${name}`),
);
/** The brackets that belong together. */
export const CLOSING = new Map([["(", ")"], ["[", "]"], ["\\{", "\\}"], ["\\langle", "\\rangle"]]);
/** The beginning of a matrix. */
export const MATRIX: RegExp = /^\\begin\{([pbB]?matrix|smallmatrix|array)\}$/;
