"""Rules that rewrite answers without reading them as mathematics: numbers, lists, intervals, words.

Every rule returns two dictionaries from a rule's name to an answer: equal ones and near misses.
"""

import re
from decimal import Decimal
from fractions import Fraction

import sympy

INTEGER = re.compile(r"-?\d+$")
# With three digits behind each comma nobody can tell a list from a number: left out.
AMBIGUOUS = re.compile(r"-?\d{1,3}(,\d{3})+$")
DECIMAL = re.compile(r"-?\d*\.\d+$")
FRACTION = re.compile(r"(-?)\\[dt]?frac\{(\d+)\}\{(\d+)\}$")
SCIENTIFIC = re.compile(r"(\d+(?:\.\d+)?)e(-?\d+)$")
SURD = re.compile(r"(-?)(\d*) ?\\sqrt\{(\d+)\}$")
COMPLEX = re.compile(r"(-?\d+) ?([+-]) ?(\d+) ?i$")
NAMED = re.compile(r"([a-zA-Z]) ?= ?(-?\d+|-?\\frac\{\d+\}\{\d+\})$")
INTERVAL = re.compile(r"([(\[])([^,()\[\]]+),([^,()\[\]]+)([)\]])$")
CHOICE = re.compile(r"(?:\\text\{)?\(?([A-E])\)?\}?$")
WORD = re.compile(r"\\text\{([A-Za-z][a-z ]{2,})\}$")
MATRIX = re.compile(r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}$", re.S)
DEGREES = re.compile(r"(\d+)\^\{?\\circ\}?$")
SIGNS = re.compile(r"(.+?) ?\\pm ?(.+)$")


def clean(text):
    text = text.strip().strip("$").strip()
    text = re.sub(r"\\left|\\right|\\!", "", text)
    text = re.sub(r"\\[dt]frac", r"\\frac", text)
    text = re.sub(r"\\frac ?(\d) ?(\d)$", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\sqrt ?(\d)", r"\\sqrt{\1}", text)
    return text.rstrip(".").strip()


def split_list(text):
    """Items at the top level, separated by commas."""
    items, depth, start = [], 0, 0
    for i, c in enumerate(text):
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == "," and depth == 0:
            items.append(text[start:i].strip().strip("$").strip())
            start = i + 1
    items.append(text[start:].strip().strip("$").strip())
    return items


def value(text):
    """A number as a Fraction, or None."""
    if INTEGER.match(text) or DECIMAL.match(text):
        return Fraction(text)
    m = FRACTION.match(text)
    if m and int(m[3]):
        return Fraction(int(m[1] + m[2]), int(m[3]))
    return None


def grouped(digits):
    return f"{int(digits):,}"


def of_integer(gold, rng):
    n = int(gold)
    k = rng.randint(2, 9)
    yes = {
        "decimal zeros": f"{n}.0",
        "quotient": f"{n * k}/{k}",
        "unreduced fraction": rf"\frac{{{n * k}}}{{{k}}}",
        "named": f"x = {n}",
        "in dollars of mathematics": f"${n}$.",
        "unit behind": rf"{n} \text{{ cm}}",
        "plain unit behind": f"{n} points",
        "chain": f"{n - k} + {k} = {n}",
        "sum": f"{n - k} + {k}",
        "bold": rf"\textbf{{{n}}}",
    }
    no = {
        "one more": str(n + 1),
        "sign": str(-n) if n else "1",
        "ten times": str(n * 10 if n else 10),
        "reciprocal": rf"\frac{{1}}{{{n}}}" if abs(n) > 1 else "7",
        "off by a tenth": f"{n}.1",
        "empty": "",
        "unit alone": r"\text{ cm}",
        "a list with it": f"{n}, {n + 1}",
        "a point": f"({n}, {n})",
        "multiplied by a variable": f"{n}x" if n else "x",
        "a half more": rf"{n}\frac{{1}}{{2}}",
        "wrong chain": f"{n} + {k} = {n + k}",
    }
    digits = str(abs(n))
    if len(digits) >= 4:
        yes["thousands"] = grouped(gold)
        yes["thousands in braces"] = grouped(gold).replace(",", "{,}")
        no["a digit lost"] = gold[:-1]
        if n % 1000:
            no["list by comma and space"] = grouped(gold).replace(",", ", ", 1)
    if len(digits) >= 2:
        no["comma inside"] = f"{gold[:-1]},{gold[-1]}"
        no["point inside"] = f"{gold[:-1]}.{gold[-1]}"
        swapped = gold[:-2] + gold[-1] + gold[-2]
        if int(swapped) != n:
            no["digits swapped"] = swapped
        if n > 9:
            no["mixed by a space"] = f"{gold[:-1]} {gold[-1]}"
    if n > 0 and n < 60:
        yes["power"] = rf"\sqrt{{{n * n}}}"
        no["square"] = f"{n}^2" if n > 1 else "2"
        no["root"] = rf"\sqrt{{{n}}}" if n > 1 else r"\sqrt{2}"
    if n:
        yes["scientific"] = (
            rf"{n / 10 ** (len(digits) - 1):.{len(digits) + 1}f} \times 10^{{{len(digits) - 1}}}"
        )
        no["scientific off"] = (
            rf"{n / 10 ** (len(digits) - 1):.{len(digits) + 1}f} \times 10^{{{len(digits)}}}"
        )
    return yes, no


def of_fraction(gold, rng):
    m = FRACTION.match(gold)
    sign, a, b = m[1], int(m[2]), int(m[3])
    k = rng.randint(2, 9)
    exact = Fraction(int(f"{sign}{a}"), b)
    yes = {
        "slash": f"{sign}{a}/{b}",
        "dfrac": rf"{sign}\dfrac{{{a}}}{{{b}}}",
        "unreduced": rf"{sign}\frac{{{a * k}}}{{{b * k}}}",
        "sum of parts": rf"\frac{{{int(sign + '1') * a - k}}}{{{b}}} + \frac{{{k}}}{{{b}}}",
        "named": rf"y = {sign}\frac{{{a}}}{{{b}}}",
        "negative power": rf"{sign}{a} \cdot {b}^{{-1}}",
    }
    no = {
        "numerator off": rf"{sign}\frac{{{a + 1}}}{{{b}}}",
        "denominator off": rf"{sign}\frac{{{a}}}{{{b + 1}}}",
        "sign": gold[1:] if sign else f"-{gold}",
        "rounded": f"{float(exact):.2f}" if Fraction(f"{float(exact):.2f}") != exact else "0.123",
        "rounded to six places": (
            f"{float(exact):.6f}"
            if Fraction(f"{float(exact):.6f}") != exact
            else f"{float(exact) + 1e-6:.6f}"
        ),
        "a pair": f"({sign}{a}, {b})",
        "digits side by side": f"{sign}{a}{b}",
    }
    if a != b and exact != 1 / exact:
        no["upside down"] = rf"{sign}\frac{{{b}}}{{{a}}}"
    if sign:
        yes["sign inside"] = rf"\frac{{-{a}}}{{{b}}}"
        yes["sign below"] = rf"\frac{{{a}}}{{-{b}}}"
    if a > b and a % b:
        yes["mixed"] = rf"{sign}{a // b}\frac{{{a % b}}}{{{b}}}"
        no["mixed off"] = rf"{sign}{a // b + 1}\frac{{{a % b}}}{{{b}}}"
    odd = b
    while odd % 2 == 0:
        odd //= 2
    while odd % 5 == 0:
        odd //= 5
    if odd == 1:
        yes["decimal"] = str(sympy.Rational(exact.numerator, exact.denominator).n(12)).rstrip("0")
        yes["percent"] = (
            rf"{str((sympy.Rational(exact.numerator, exact.denominator) * 100).n(12)).rstrip('0').rstrip('.')}\%"
        )
        no["percent of itself"] = (
            rf"{str((sympy.Rational(exact.numerator, exact.denominator) * 10).n(12)).rstrip('0').rstrip('.')}\%"
        )
    return yes, no


def of_decimal(gold, rng):
    exact = Fraction(gold)
    yes = {
        "zero behind": f"{gold}0",
        "fraction": rf"\frac{{{exact.numerator}}}{{{exact.denominator}}}",
        "bare point": gold.replace("0.", ".", 1) if gold.startswith("0.") else f"{gold}00",
        "scientific": rf"{float(exact) * 100:.10f} \times 10^{{-2}}",
        "dollars": rf"\${gold}",
    }
    no = {
        "last digit off": gold[:-1] + str((int(gold[-1]) + 1) % 10),
        "point lost": gold.replace(".", ""),
        "point moved": str(float(exact) * 10),
        "rounded": str(round(float(exact))) if round(float(exact)) != exact else "3.5",
        "comma for point": gold.replace(".", ","),
    }
    return yes, no


def of_scientific(gold, rng):
    m = SCIENTIFIC.match(gold)
    mantissa, power = m[1], int(m[2])
    yes = {
        "times ten": rf"{mantissa} \times 10^{{{power}}}",
        "cdot ten": rf"{mantissa} \cdot 10^{{{power}}}",
        "shifted": rf"{Decimal(mantissa) * 10} \times 10^{{{power - 1}}}",
        "with a unit": rf"{mantissa} \times 10^{{{power}}} \mathrm{{~m}}",
    }
    no = {
        "power off": rf"{mantissa} \times 10^{{{power + 1}}}",
        "power's sign": rf"{mantissa} \times 10^{{{-power}}}" if power else "7",
        "mantissa off": f"{float(mantissa) + 0.25}e{power}",
        "mantissa alone": mantissa if power else "8",
    }
    return yes, no


def of_surd(gold, rng):
    m = SURD.match(gold)
    sign, k, n = m[1], int(m[2] or 1), int(m[3])
    if sympy.sqrt(n).is_integer:
        return {}, {}
    yes = {
        "under the root": rf"{sign}\sqrt{{{k * k * n}}}",
        "cdot": rf"{sign}{k}\cdot\sqrt{{{n}}}",
        "half power": rf"{sign}{k} \cdot {n}^{{1/2}}",
        "root first": rf"{sign}\sqrt{{{n}}} \cdot {k}",
        "denominator": rf"{sign}\frac{{{k * n}}}{{\sqrt{{{n}}}}}",
        "short braces": gold.replace(f"{{{n}}}", str(n)) if n < 10 else rf"{gold} \text{{ units}}",
        "named": f"d = {gold}",
        "sqrt function": f"{sign}{k}*sqrt({n})",
    }
    no = {
        "radicand off": (
            rf"{sign}{k}\sqrt{{{n + 1}}}"
            if not sympy.sqrt(n + 1).is_integer
            else rf"{sign}{k}\sqrt{{{n + 2}}}"
        ),
        "factor off": rf"{sign}{k + 1}\sqrt{{{n}}}",
        "root lost": f"{sign}{k * n}",
        "inside and outside mixed": (
            rf"{sign}\sqrt{{{k * n}}}" if k > 1 else rf"{sign}\sqrt{{{n * n + 1}}}"
        ),
        "sign": gold[1:] if sign else f"-{gold}",
        "decimal": f"{float(sympy.Float(k) * sympy.sqrt(n)):.3f}",
        "long decimal": f"{sign}{sympy.N(k * sympy.sqrt(n), 9)}",
        "cube root": rf"{sign}{k}\sqrt[3]{{{n}}}",
        "both signs": rf"\pm {gold.lstrip('-')}",
    }
    return yes, no


def of_complex(gold, rng):
    m = COMPLEX.match(gold)
    a, s, b = int(m[1]), m[2], int(m[3])
    yes = {
        "imaginary first": f"{'-' if s == '-' else ''}{b}i {'+' if a > 0 else '-'} {abs(a)}",
        "cdot": rf"{a} {s} {b} \cdot i",
        "doubled": rf"\frac{{{2 * a} {s} {2 * b}i}}{{2}}",
    }
    no = {
        "conjugate": f"{a} {'-' if s == '+' else '+'} {b}i",
        "parts swapped": f"{b} {s} {a}i" if a != b else f"{a + 1}{s}{b}i",
        "real part alone": str(a),
        "a pair": f"({a}, {s if s == '-' else ''}{b})",
    }
    return yes, no


def of_named(gold, rng):
    m = NAMED.match(gold)
    name, v = m[1], m[2]
    other = "w" if name != "w" else "z"
    number = value(v)
    bumped = number + 1
    yes = {
        "name lost": v,
        "sides swapped": f"{v} = {name}",
        "doubled": (
            rf"2{name} = {number * 2}"
            if number.denominator == 1
            else rf"{number.denominator}{name} = {number.numerator}"
        ),
        "one side": f"{name} - {number} = 0" if number >= 0 else f"{name} + {-number} = 0",
    }
    no = {
        "value off": f"{name} = {bumped}",
        "other name": f"{other} = {v}",
        "inequality": rf"{name} \le {v}",
        "squared": f"{name}^2 = {v}" if number not in (0, 1) else f"{name} = 12",
    }
    return yes, no


def of_degrees(gold, rng):
    n = DEGREES.match(gold)[1]
    if int(n) == 0:
        return {}, {}
    yes = {
        "degrees lost": n,
        "word": rf"{n} \text{{ degrees}}",
        "braces": rf"{n}^{{\circ}}",
        "sign": f"{n}°",
        "named": rf"\theta = {n}^\circ",
    }
    no = {
        "off": rf"{int(n) + 1}^\circ",
        "ten times": rf"{n}0^\circ",
        "power": f"{n}^2",
        "minutes": rf"{n}^\circ 30'",
    }
    return yes, no


def bracket_flip(c):
    return {"(": "[", "[": "(", ")": "]", "]": ")"}[c]


def of_interval(gold, rng, is_interval):
    m = INTERVAL.match(gold)
    o, a, b, c = m[1], m[2].strip(), m[3].strip(), m[4]
    yes = {
        "left and right": rf"\left{o} {a}, {b} \right{c}",
        "tight": f"{o}{a},{b}{c}",
        "dfrac": gold.replace(r"\frac", r"\dfrac") if r"\frac" in gold else f"${o}{a}, \\; {b}{c}$",
    }
    no = {}
    if a != b:
        no["swapped"] = f"{o}{b}, {a}{c}"
        no["first alone"] = a
    if value(a) is not None:
        no["first off"] = (
            f"{o}{value(a) + 1}, {b}{c}" if value(a).denominator == 1 else f"{o}7, {b}{c}"
        )
    if value(b) is not None and value(b).denominator == 1:
        no["second off"] = f"{o}{a}, {value(b) + 1}{c}"
        yes["second as a sum"] = f"{o}{a}, {value(b) - 3} + 3{c}"
    if value(b) is not None and value(a) is not None and value(b).denominator == 1:
        no["second's sign"] = f"{o}{a}, {-value(b) if value(b) else 1}{c}"
        no["a third"] = f"{o}{a}, {b}, {value(b) + 1}{c}"
        if value(a).denominator == 1 and not is_interval and a[-1].isdigit() and b[0].isdigit():
            no["comma lost"] = f"{o}{a}{b}{c}"
    if is_interval:
        up, down = ("<" if o == "(" else r"\le"), ("<" if c == ")" else r"\le")
        if r"\infty" not in gold:
            yes["inequality"] = f"{a} {up} x {down} {b}"
            yes["element"] = rf"x \in {gold}"
            no["closed otherwise"] = f"{bracket_flip(o)}{a}, {b}{c}"
            no["open otherwise"] = f"{o}{a}, {b}{bracket_flip(c)}"
            no["inequality at an end"] = f"{a} {'<' if o == '[' else chr(92) + 'le'} x {down} {b}"
            no["half"] = rf"x {down} {b}"
        elif b.strip() in (r"\infty", r"+\infty") and r"\infty" not in a:
            yes["greater"] = f"x > {a}" if o == "(" else rf"x \ge {a}"
            yes["less, turned round"] = f"{a} < x" if o == "(" else rf"{a} \le x"
            no["less"] = f"x < {a}" if o == "(" else rf"x \le {a}"
            no["closed otherwise"] = rf"x \ge {a}" if o == "(" else f"x > {a}"
            no["negative"] = rf"(-\infty, {a})"
        elif a == r"-\infty" and r"\infty" not in b:
            yes["less"] = f"x < {b}" if c == ")" else rf"x \le {b}"
            no["closed otherwise"] = rf"x \le {b}" if c == ")" else f"x < {b}"
            no["greater"] = f"x > {b}"
    return yes, no


def of_union(gold, rng):
    parts = re.split(r" ?\\cup ?", gold)
    if not all(INTERVAL.match(p) for p in parts):
        return {}, {}
    yes = {"other order": r" \cup ".join(reversed(parts)), "tight": r"\cup".join(parts)}

    def as_inequality(p):
        m = INTERVAL.match(p)
        o, a, b, c = m[1], m[2].strip(), m[3].strip(), m[4]
        if a == r"-\infty":
            return f"x < {b}" if c == ")" else rf"x \le {b}"
        if b == r"\infty":
            return f"x > {a}" if o == "(" else rf"x \ge {a}"
        return (
            f"{a} {'<' if o == '(' else chr(92) + 'le'} x {'<' if c == ')' else chr(92) + 'le'} {b}"
        )

    if not any(p.replace(" ", "") == r"(-\infty,\infty)" for p in parts):
        yes["inequalities"] = r" \text{ or } ".join(map(as_inequality, parts))
    no = {"a part lost": parts[0], "a cap": r" \cap ".join(parts)}
    last = parts[-1]
    no["an end closed"] = r" \cup ".join(parts[:-1] + [bracket_flip(last[0]) + last[1:]])
    return yes, no


def of_list(gold, rng):
    items = split_list(gold)
    values = [value(i) for i in items]
    if any(v is None for v in values) or len(set(values)) != len(values):
        return {}, {}
    turned = items[1:] + items[:1]
    yes = {
        "other order": ", ".join(turned),
        "and": ", ".join(items[:-1]) + rf" \text{{ and }} {items[-1]}",
        "or": r" \text{ or } ".join(items),
        "named once": "x = " + ", ".join(items),
        "named each": ", ".join(f"x = {i}" for i in items),
        "a set": r"\{" + ", ".join(items) + r"\}",
        "dollars": ", ".join(f"${i}$" for i in items),
        "semicolons": "; ".join(items),
    }
    bumped = values[-1] + 1
    no = {
        "one lost": ", ".join(items[:-1]),
        "one more": ", ".join(items + ["97"]),
        "one off": ", ".join(items[:-1] + [str(bumped) if bumped not in values else "98"]),
        "one's sign": ", ".join(
            [str(-values[0]) if values[0] and -values[0] not in values else "96"] + items[1:]
        ),
        "one twice": ", ".join(items[:-1] + [items[0]]),
        "joined": (
            "".join(items) if all(INTEGER.match(i) for i in items) and items[1][0] != "-" else "95"
        ),
    }
    if len(items) > 2:
        no["a point of two"] = f"({items[0]}, {items[1]})"
    if len(items) == 2 and -values[0] == values[1]:
        yes["plus minus"] = rf"\pm {items[0].lstrip('-')}"
    return yes, no


def of_tuple(gold, rng):
    items = split_list(gold[1:-1])
    values = [value(i) for i in items]
    if any(v is None for v in values) or len(items) < 3:
        return {}, {}
    yes = {
        "left and right": r"\left(" + ", ".join(items) + r"\right)",
        "tight": "(" + ",".join(items) + ")",
        "decimals": "("
        + ", ".join(f"{v.numerator}.0" if v.denominator == 1 else i for i, v in zip(items, values))
        + ")",
        "column": r"\begin{pmatrix}" + r" \\ ".join(items) + r"\end{pmatrix}",
    }
    no = {
        "one off": "(" + ", ".join(items[:-1] + [str(values[-1] + 1)]) + ")",
        "one lost": "(" + ", ".join(items[:-1]) + ")",
    }
    turned = items[1:] + items[:1]
    if turned != items:
        no["other order"] = "(" + ", ".join(turned) + ")"
    if values[0]:
        no["one's sign"] = "(" + ", ".join([str(-values[0])] + items[1:]) + ")"
    return yes, no


def of_matrix(gold, rng):
    rows = [
        [c.strip() for c in r.split("&")] for r in MATRIX.match(gold)[1].split(r"\\") if r.strip()
    ]
    build = (
        lambda env, rs: rf"\begin{{{env}}} "
        + r" \\ ".join(" & ".join(r) for r in rs)
        + rf" \end{{{env}}}"
    )
    yes = {
        "bmatrix": build("bmatrix", rows),
        "array": r"\left[\begin{array}{"
        + "r" * len(rows[0])
        + "}"
        + r" \\ ".join(" & ".join(r) for r in rows)
        + r"\end{array}\right]",
        "fractions": build(
            "pmatrix",
            [[re.sub(r"^(-?)(\d+)/(\d+)$", r"\1\\frac{\2}{\3}", c) for c in r] for r in rows],
        ),
        "zeros behind": build(
            "pmatrix", [[f"{c}.0" if INTEGER.match(c) else c for c in r] for r in rows]
        ),
    }
    changed = [r[:] for r in rows]
    changed[-1][-1] = "41"
    no = {"one off": build("pmatrix", changed), "a row lost": build("pmatrix", rows[:-1])}
    across = [list(r) for r in zip(*rows)]
    if across != rows:
        no["transposed"] = build("pmatrix", across)
    if rows[0] != rows[-1]:
        no["rows swapped"] = build("pmatrix", rows[::-1])
    return yes, no


def of_word(gold, rng):
    w = WORD.match(gold)[1].strip()
    yes = {
        "plain": w,
        "lower case": w.lower(),
        "upper case first": w.capitalize(),
        "bold": rf"\textbf{{{w}}}",
        "full stop": rf"\text{{{w}.}}",
    }
    no = {
        "letters turned": rf"\text{{{w[::-1]}}}",
        "a letter lost": rf"\text{{{w[:-1]}}}",
        "negated": rf"\text{{not {w}}}",
        "another": r"\text{seven}",
    }
    return yes, no


def of_choice(gold, rng):
    c = CHOICE.match(gold)[1]
    other = rng.choice([x for x in "ABCDE" if x != c])
    yes = {
        "letter": c,
        "brackets": f"({c})",
        "text": rf"\text{{{c}}}",
        "bold": rf"\textbf{{({c})}}",
        "mathrm": rf"\mathrm{{({c})}}",
    }
    no = {
        "another": other,
        "another in brackets": rf"\text{{({other})}}",
        "two": f"{c}, {other}",
        "empty": "",
    }
    return yes, no


def of_gpqa(row, rng):
    choices, right = row["choices"], row["answer"]
    wrong = rng.choice([k for k in choices if k != right and choices[k] != choices[right]])
    yes = {
        "letter": right,
        "brackets": f"({right})",
        "text": rf"\text{{{right}}}",
        "letter and value": f"{right}. {choices[right]}",
        "value": choices[right],
        "value as text": rf"\text{{{choices[right]}}}",
        "option": f"Option {right}",
    }
    no = {
        "wrong letter": wrong,
        "wrong letter in brackets": rf"\text{{({wrong})}}",
        "wrong value": choices[wrong],
        "wrong value as text": rf"\text{{{choices[wrong]}}}",
        "wrong letter and value": f"{wrong}) {choices[wrong]}",
        "two letters": f"{right} or {wrong}",
        "empty": "",
    }
    return yes, no
