"""Rules for answers in letters: sympy reads them once and rewrites them, but never compares them."""

import re

import sympy
from latex2sympy2_extended import latex2sympy

from grade_rules import value

EXPRESSION = re.compile(r"^[a-zA-Z0-9+\-*/^(){} \\.]*$")
SAFE = {"frac", "sqrt", "cdot", "sin", "cos", "ln", "pi", "alpha", "theta", "lambda", "omega"}


def expression_of(text):
    # sympy's reader makes no difference between capital and small letters.
    if (
        not EXPRESSION.match(text)
        or len(text) > 90
        or re.search("[A-Z]", text)
        or not re.search("[a-zA-Z]", re.sub(r"\\[a-z]+", "", text))
    ):
        return None
    if any(c not in SAFE for c in re.findall(r"\\([a-zA-Z]+)", text)) or re.search(
        r"[a-zA-Z}] ?\([a-z]\)", text
    ):
        return None
    if re.search(r"[a-z]{2,}", re.sub(r"\\[a-z]+", "", text).replace(" ", "")) or re.search(
        r"[eiEI]", re.sub(r"\\[a-z]+", "", text)
    ):
        return None
    try:
        e = latex2sympy(text)
        if not isinstance(e, sympy.Expr) or not 1 <= len(e.free_symbols) <= 4:
            return None
        return e
    except Exception:
        return None


def differs(a, b):
    """Whether two expressions differ at a point of positive irrational coordinates."""
    names = sorted((a.free_symbols | b.free_symbols), key=str)
    point = {s: sympy.sqrt(sympy.prime(i + 3)).n(30) / 3 for i, s in enumerate(names)}
    x, y = sympy.N(a.subs(point), 20), sympy.N(b.subs(point), 20)
    return x.is_number and y.is_number and abs(x - y) > 1e-6 * (1 + abs(x))


def of_expression(gold, e, rng):
    latex = lambda x: sympy.latex(x)
    s = sorted(e.free_symbols, key=str)[0]
    yes, no = {
        "spaces lost": re.sub(r" (?![a-zA-Z])", "", gold),
        "dfrac": gold.replace(r"\frac", r"\dfrac"),
    }, {}
    forms = {
        "expanded": sympy.expand,
        "factored": sympy.factor,
        "together": sympy.together,
        "apart": lambda x: sympy.apart(x, s) if len(x.free_symbols) == 1 else sympy.expand(x),
    }
    for rule, f in forms.items():
        try:
            yes[rule] = latex(f(e))
        except Exception:
            pass
    yes["terms turned"] = latex(e) + f" + {latex(s)} - {latex(s)}"
    yes["doubled and halved"] = rf"\frac{{2\left({latex(e)}\right)}}{{2}}"
    yes["two parts"] = rf"\left({latex(e)} - 1\right) + 1"
    changes = {
        "one more": e + 1,
        "sign": -e,
        "doubled": 2 * e,
        "a variable more": e + s,
        "times a variable": e * s,
        "another variable": e.subs(s, sympy.Symbol("q" if str(s) != "q" else "z")),
        "argument doubled": e.subs(s, 2 * s),
        "squared": e**2,
        "argument's sign": e.subs(s, -s),
        "last digit of a coefficient": e + sympy.Rational(1, 100) * s,
    }
    for rule, changed in changes.items():
        if differs(e, changed):
            no[rule] = latex(changed)
    if differs(e, sympy.Integer(0)):
        no["as an equation"] = f"{latex(e)} = 0"
        no["absolute"] = (
            rf"\left|{latex(e)}\right|"
            if (e.subs({x: -sympy.sqrt(7) / 2 for x in e.free_symbols}).is_negative)
            else f"{latex(e)} + 1"
        )
    return yes, no


EQUATION = re.compile(r"^([^=<>]+)=([^=<>]+)$")


def of_equation(gold, rng):
    m = EQUATION.match(gold)
    if not m or re.search(r"[a-zA-Z] ?\([a-z]\)", gold):
        return {}, {}
    side = lambda t: expression_of(t.strip()) or (
        sympy.Rational(value(t.strip())) if value(t.strip()) is not None else None
    )
    a, b = side(m[1]), side(m[2])
    if a is None or b is None or len((a - b).free_symbols) < 1:
        return {}, {}
    latex = sympy.latex
    yes = {
        "sides swapped": f"{latex(b)} = {latex(a)}",
        "one side": f"{latex(sympy.expand(a - b))} = 0",
        "doubled": f"{latex(sympy.expand(2 * a))} = {latex(sympy.expand(2 * b))}",
        "zero first": f"0 = {latex(sympy.expand(b - a))}",
    }
    no = {
        "constant off": f"{latex(a)} = {latex(b + 1)}",
        "one side off": f"{latex(sympy.expand(a - b) + 2)} = 0",
        "inequality": f"{latex(a)} < {latex(b)}",
        "not equal": rf"{latex(a)} \neq {latex(b)}",
    }
    if differs(b, -b):
        no["sign of a side"] = f"{latex(a)} = {latex(-b)}"
    return yes, no
