"""Writes tests/fixtures/tokenizers.jsonl: what the reference implementation of tokenizer.json (the Rust
library `tokenizers`) makes of awkward texts, for tokenizers that use every feature this project supports.

    pip install -r tests/oracle/requirements.txt
    python tests/oracle/tokenizers_fixture.py
"""

import json
import pathlib
import random

import tokenizers
from tokenizers import Tokenizer

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_chars():
    """The character that stands for each byte in a byte-level vocabulary."""
    spare = iter(range(0x100, 0x200))
    printable = lambda b: 0x21 <= b <= 0x7E or 0xA1 <= b != 0xAD
    return [chr(b) if printable(b) else chr(next(spare)) for b in range(256)]


def spell(text):
    return "".join(BYTES[b] for b in text.encode())


BYTES = byte_chars()
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def tokenizer(pre_tokenizer, normalizer=None, missing=(), spelled_merges=True, **model):
    """Bytes, and a few words grown from their left ends."""
    vocab = {}
    for byte, char in enumerate(BYTES):
        if byte not in missing:
            vocab[char] = len(vocab)
    merges = []
    for word in ("in", "ing", " th", " the", "\n\n", "  ", "12", "é", "日", "日本", "'s", "bo", "box"):
        chars = spell(word)
        for end in range(2, len(chars) + 1):
            if chars[:end] not in vocab:
                vocab[chars[:end]] = len(vocab)
                merges.append((chars[: end - 1], chars[end - 1]))
    added = []
    for content, flags in (
        ("<|s|>", {"special": True}),
        ("<|s|>>", {}),
        ("<L>", {"lstrip": True}),
        ("<R>", {"rstrip": True}),
        ("<LR>", {"lstrip": True, "rstrip": True, "special": True}),
        ("wørd", {"single_word": True}),
        ("<é>", {"normalized": True}),
        ("<Å>", {"normalized": True, "rstrip": True}),
    ):
        plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        added.append({"id": len(vocab) + len(added), "content": content, **plain, **flags})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocab,
            "merges": [" ".join(pair) for pair in merges] if spelled_merges else merges,
            **model,
        },
    }


TOKENIZERS = {
    "one split, NFC": tokenizer(
        sequence(split({"Regex": PATTERN}), BYTE_LEVEL), {"type": "NFC"}, spelled_merges=False
    ),
    "ignore_merges": tokenizer(sequence(split({"Regex": PATTERN}), BYTE_LEVEL), ignore_merges=True),
    "single digits, GPT-2's split, bytes without a token": tokenizer(
        sequence({"type": "Digits", "individual_digits": True}, {**BYTE_LEVEL, "use_regex": True}),
        missing=(0x04, 0x06, 0xC0, 0xF1, 0xFF),
    ),
    "runs of digits, an unknown token, NFKD": tokenizer(
        sequence({"type": "Digits", "individual_digits": False}, {**BYTE_LEVEL, "use_regex": True}),
        {"type": "Sequence", "normalizers": [{"type": "NFKD"}]},
        missing=(0x04, 0x06, 0xF1),
        unk_token="!",
    ),
    "several splits": tokenizer(
        sequence(
            split({"Regex": r"\p{N}{1,3}"}),
            split({"Regex": "[一-龥぀-ゟ゠-ヿ]+"}),
            split({"Regex": r"[!-/:-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"}),
            BYTE_LEVEL,
        )
    ),
    "removed matches": tokenizer(sequence(split({"String": "."}, "Removed"), BYTE_LEVEL)),
    "removed gaps, Unicode escapes, a dot": tokenizer(
        sequence(split({"Regex": r"\d+|\w+|\'.|\S"}, "Removed", invert=True), BYTE_LEVEL)
    ),
}

FRAGMENTS = (
    "the| the|thing|sing|box|'s|'LL|ſ|wørd|wørds|_wørd|wørd-|-wørd|wørd\u0301|wørd\u200d|𝒜|é|e\u0301|Å|A\u030a"
    "|\u212b|1|12|12345|²|Ⅷ|٣|２| |  |\n|\n\n|\r\n|\t|\u0085|\u00a0|\u3000|\ufeff|\u2028|\u200b|\u0004|\u0006|\u001b"
    "|\U000f1234|😀|👩‍👩‍👧|日本語|日|ไท|क्षि|<L>|<R>|<LR>|<é>|<e\u0301>|<Å>|<A\u030a>|<\u212b>|<\\|s\\|>|<\\|s\\|>>"
    "|<\\|s|.|...|}|!=|--|\u0301|x_1|İ|ﬁ"
)


def texts(count):
    rng = random.Random(1)
    fragments = FRAGMENTS.replace("\\|", "\0").split("|")
    fragments = [fragment.replace("\0", "|") for fragment in fragments]
    for index in range(count):
        if index % 5 < 4:
            yield "".join(rng.choice(fragments) for _ in range(rng.randint(0, 16)))
        else:
            yield bytes(rng.randint(0, 255) for _ in range(rng.randint(1, 24))).decode("utf-8", "replace")


def main():
    cases = list(texts(120))
    generator = f"tests/oracle/tokenizers_fixture.py, tokenizers {tokenizers.__version__}"
    lines = [{"generator": generator, "texts": cases}]
    for name, content in TOKENIZERS.items():
        reference = Tokenizer.from_str(json.dumps(content))
        special = [reference.encode(text, add_special_tokens=False).ids for text in cases]
        reference.encode_special_tokens = True
        plain = [reference.encode(text, add_special_tokens=False).ids for text in cases]
        lines.append({"name": name, "json": content, "special": special, "plain": plain})
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "tokenizers.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    print(f"{path}: {len(cases)} texts, {len(TOKENIZERS)} tokenizers")


if __name__ == "__main__":
    main()
