/**
 * The commands and characters that mean the same.
 *
 * @module
 */

/** Commands and characters with one meaning and several spellings. */
export const SPELLING: ReadonlyMap<string, string> = new Map<string, string>([
  ...spellings(
    "",
    "\\left \\right \\big \\Big \\bigg \\Bigg \\bigl \\bigr \\Bigl \\Bigr \\biggl \\biggr \\Biggl " +
      "\\Biggr \\! \\displaystyle \\textstyle \\limits \\nolimits \\( \\) \\[ \\] \u200b \ufeff",
  ),
  ...spellings(
    " ",
    "\\, \\; \\: \\> \\quad \\qquad \\thinspace \\enspace ~ $ \u00a0 \u2009 \u202f \u2002 \u2003",
  ),
  ["\\ ", " "],
  ["\\\n", " "],
  ...spellings("\\frac", "\\dfrac \\tfrac \\cfrac"),
  ...spellings("\\binom", "\\dbinom \\tbinom"),
  ...spellings("\\leq ", "\\le \\leqslant \\leqq ≤ ⩽"),
  ...spellings("\\geq ", "\\ge \\geqslant \\geqq ≥ ⩾"),
  ...spellings("\\neq ", "\\ne ≠"),
  ...spellings("\\approx ", "\\approxeq \\simeq \\doteq \\thickapprox ≈ ≃ ≅"),
  ...spellings("\\{", "\\lbrace"),
  ...spellings("\\}", "\\rbrace"),
  ...spellings("[", "\\lbrack"),
  ...spellings("]", "\\rbrack"),
  ...spellings("|", "\\vert \\mid ∣"),
  ...spellings(":", "\\colon ："),
  ...spellings(",", "，"),
  ...spellings("(", "（"),
  ...spellings(")", "）"),
  ...spellings("=", "＝"),
  ...spellings("+", "＋"),
  ...spellings("\\emptyset ", "\\varnothing \\oslash \\empty ∅ ⌀"),
  ...spellings("\\infty ", "\\infin ∞"),
  ...spellings("\\cdot ", "\\ast · ⋅ ∙ • ∗"),
  ...spellings("\\times ", "\\times × ✕"),
  ...spellings("\\div ", "÷"),
  ...spellings("\\pm ", "±"),
  ...spellings("\\mp ", "∓"),
  ...spellings("\\cup ", "∪ \\bigcup"),
  ...spellings("\\cap ", "∩ \\bigcap"),
  ...spellings("\\in ", "∈"),
  ...spellings("\\sqrt", "√"),
  ...spellings("\\sum ", "∑"),
  ...spellings("\\int ", "∫"),
  ...spellings("\\to ", "\\rightarrow \\longrightarrow →"),
  ...spellings("\\Rightarrow ", "\\implies \\Longrightarrow ⇒ ⟹"),
  ...spellings("\\Leftrightarrow ", "\\iff \\Longleftrightarrow ⇔"),
  ...spellings("\\ldots ", "\\dots \\cdots \\dotsc \\dotsb \\hdots … ⋯"),
  ...spellings("\\wedge ", "\\land ∧"),
  ...spellings("\\vee ", "\\lor ∨"),
  ...spellings("\\langle ", "⟨"),
  ...spellings("\\rangle ", "⟩"),
  ...spellings("\\lfloor ", "⌊"),
  ...spellings("\\rfloor ", "⌋"),
  ...spellings("\\lceil ", "⌈"),
  ...spellings("\\rceil ", "⌉"),
  ...spellings("\\angle ", "∠"),
  ...spellings("\\triangle ", "△"),
  ...spellings("\\mathbb{R}", "\\R \\reals \\Reals ℝ"),
  ...spellings("\\mathbb{Z}", "\\Z ℤ"),
  ...spellings("\\mathbb{N}", "\\N ℕ"),
  ...spellings("\\mathbb{Q}", "ℚ"),
  ...spellings("\\mathbb{C}", "ℂ"),
  ...spellings("^\\circ ", "\\degree \\textdegree ° º"),
  ...spellings("-", "− – ‐ － \\textminus"),
  ...spellings("'", "′ ’"),
  ...spellings("''", "″"),
  ...spellings("\\$", "\\textdollar"),
  ...spellings("\\text{ euro}", "\\euro \\texteuro €"),
  ...spellings("\\text{ pound sterling}", "\\pounds £"),
  ...spellings("%", "％"),
  ...[..."¹²³⁴⁵⁶⁷⁸⁹"].map((c, i) => [c, `^${i + 1}`] as const),
  ["⁰", "^0"],
  ...[..."₀₁₂₃₄₅₆₇₈₉"].map((c, i) => [c, `_${i}`] as const),
  ...Object.entries({ "½": "12", "⅓": "13", "⅔": "23", "¼": "14", "¾": "34", "⅕": "15", "⅛": "18" })
    .map(([c, [num, den]]) => [c, `\\frac{${num}}{${den}}`] as const),
  ...[..."αβγδεζηθικλμνξρστυφχψωΓΔΘΛΞΠΣΦΨΩπ"].map((c, i) => {
    const names = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho " +
      "sigma tau upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega pi";
    return [c, `\\${names.split(" ")[i]} `] as const;
  }),
]);

function spellings(one: string, many: string): (readonly [string, string])[] {
  return many.split(" ").map((each) => [each, one] as const);
}
