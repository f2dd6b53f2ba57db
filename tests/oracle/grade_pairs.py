"""Writes labelled pairs of answers whose label is known from how they were made.

Every gold answer of the benchmark rows that has a recognisable form is rewritten into equal answers
and into near misses by rules that never ask a checker. math-verify judges the same pairs. Output: one
JSON object a line, {"family", "rule", "gold", "answer", "equal", "math_verify", "choices"?}.

    pip install math-verify==0.9.0
    python tests/oracle/grade_pairs.py data/eval pairs.jsonl
"""

import itertools
import json
import random
import sys
from pathlib import Path

from math_verify import ExprExtractionConfig, LatexExtractionConfig, StringExtractionConfig
from math_verify import parse as mv_parse
from math_verify import verify as mv_verify

from grade_rules import (
    AMBIGUOUS,
    CHOICE,
    COMPLEX,
    DECIMAL,
    DEGREES,
    FRACTION,
    INTEGER,
    INTERVAL,
    MATRIX,
    NAMED,
    SCIENTIFIC,
    SURD,
    WORD,
    clean,
    of_choice,
    of_complex,
    of_decimal,
    of_degrees,
    of_fraction,
    of_gpqa,
    of_integer,
    of_interval,
    of_list,
    of_matrix,
    of_named,
    of_scientific,
    of_surd,
    of_tuple,
    of_union,
    of_word,
    split_list,
)
from grade_rules_symbolic import EQUATION, expression_of, of_equation, of_expression

# Rows taken per file: the large and uniform ones must not drown the others.
LIMIT = {"gsm8k": 160, "gsm8k_train": 160, "college_math": 900, "math_4500": 1500}
# Pairs kept per rule.
PER_RULE = 45
# Seconds for math-verify, far above its default of 5, so that a busy machine costs it nothing.
TIMEOUT = 60


def rewrite(row, rng):
    """(family, gold, equal answers, near misses) of a row, or None when its form is not known."""
    if "choices" in row:
        return ("gpqa", row["answer"], *of_gpqa(row, rng))
    gold = clean(row["answer"])
    if AMBIGUOUS.match(gold):
        return None
    for family, pattern, make in [
        ("integer", INTEGER, of_integer),
        ("fraction", FRACTION, of_fraction),
        ("decimal", DECIMAL, of_decimal),
        ("scientific", SCIENTIFIC, of_scientific),
        ("surd", SURD, of_surd),
        ("complex", COMPLEX, of_complex),
        ("named", NAMED, of_named),
        ("degrees", DEGREES, of_degrees),
        ("choice", CHOICE, of_choice),
        ("word", WORD, of_word),
        ("matrix", MATRIX, of_matrix),
    ]:
        if pattern.match(gold):
            return (family, gold, *make(gold, rng))
    if r"\cup" in gold:
        return ("union", gold, *of_union(gold, rng))
    if INTERVAL.match(gold):
        closed = "[" in gold or "]" in gold or r"\infty" in gold
        return ("interval" if closed else "pair", gold, *of_interval(gold, rng, closed))
    items = split_list(gold)
    if len(items) > 1:
        return ("list", gold, *of_list(gold, rng))
    if gold.startswith("(") and gold.endswith(")") and len(split_list(gold[1:-1])) > 2:
        return ("tuple", gold, *of_tuple(gold, rng))
    if EQUATION.match(gold):
        return ("equation", gold, *of_equation(gold, rng))
    e = expression_of(gold)
    return ("expression", gold, *of_expression(gold, e, rng)) if e is not None else None


def judge(pair):
    """math-verify's verdict, with every kind of extraction it offers."""
    configs = [LatexExtractionConfig(), ExprExtractionConfig(), StringExtractionConfig()]
    try:
        # It reads 4.5e33 as a product with e, or as 4.5: the gold answer is spelled out for it.
        text = SCIENTIFIC.sub(r"\1 \\times 10^{\2}", pair["gold"].strip("$"))
        gold = mv_parse(f"${text}$", configs, parsing_timeout=TIMEOUT)
        answer = mv_parse(rf"\boxed{{{pair['answer']}}}", configs, parsing_timeout=TIMEOUT)
        return bool(mv_verify(gold, answer, timeout_seconds=TIMEOUT))
    except Exception:
        return False


def main(folder, out):
    rng = random.Random(20250521)
    pairs = {}
    for path in sorted(Path(folder).glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text().split("\n") if line]
        rng.shuffle(rows)
        for row in rows[: LIMIT.get(path.stem)]:
            made = rewrite(row, rng)
            if not made:
                continue
            family, gold, yes, no = made
            for equal, answers in ((True, yes), (False, no)):
                for rule, answer in answers.items():
                    if equal and answer == gold:
                        continue
                    pair = {
                        "family": family,
                        "rule": rule,
                        "gold": gold,
                        "answer": answer,
                        "equal": equal,
                    }
                    if family == "gpqa":
                        pair["choices"] = row["choices"]
                    pairs.setdefault((family, rule, equal), []).append(pair)
    kept = []
    for key in sorted(pairs):
        kept += rng.sample(pairs[key], min(PER_RULE, len(pairs[key])))
    sides = {side: [p for p in kept if p["equal"] == side] for side in (True, False)}
    size = min(map(len, sides.values()))
    chosen = list(itertools.chain.from_iterable(rng.sample(side, size) for side in sides.values()))
    with open(out, "w") as file:
        for pair in chosen:
            pair["math_verify"] = judge(pair)
            file.write(json.dumps(pair) + "\n")
    print(f"{len(chosen)} pairs, {size} equal, {size} not")


if __name__ == "__main__":
    main(*sys.argv[1:])
