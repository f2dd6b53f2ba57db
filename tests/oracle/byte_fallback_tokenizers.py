"""Writes tests/fixtures/byte_fallback.jsonl.gz: what the reference implementation of tokenizer.json (the Rust
library `tokenizers`) makes of awkward texts and of random ids, for SentencePiece-like tokenizers (Llama 2,
Mistral, TinyLlama) in all the ways their files are written. The vocabulary is trained here, on this
project's documentation.

    pip install -r tests/oracle/requirements.txt
    python tests/oracle/byte_fallback_tokenizers.py
"""

import gzip
import json
import pathlib
import random

import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizers_fixture import FRAGMENTS as AWKWARD

ROOT = pathlib.Path(__file__).parent.parent.parent
MARK = "\u2581"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
CONTROL = ["<unk>", "<s>", "</s>"]


def train():
    """Vocabulary and merges: control tokens, bytes, then what was learned; rare characters have no token."""
    trainer = trainers.BpeTrainer(
        vocab_size=1200, special_tokens=CONTROL + BYTES, limit_alphabet=150, show_progress=False
    )
    learner = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    # Cut into lines and words alone, so that runs of spaces and marks inside them are learned too.
    learner.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    learner.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(f"{MARK}*[^{MARK}\\n]+|\\n+"), "isolated")
    texts = [path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))]
    learner.train_from_iterator(texts + [" ".join(FRAGMENTS)], trainer)
    model = json.loads(learner.to_str())["model"]
    return model["vocab"], model["merges"]


def added(content, id, **flags):
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return {"id": id, "content": content, **plain, **flags}


PREPEND = {"type": "Prepend", "prepend": MARK}
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
BACK = {"type": "Replace", "pattern": {"String": MARK}, "content": " "}
FALLBACK, FUSE = {"type": "ByteFallback"}, {"type": "Fuse"}
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
LLAMA_DECODER = {"type": "Sequence", "decoders": [BACK, FALLBACK, FUSE, STRIP]}


def metaspace(**options):
    return {"type": "Metaspace", "replacement": MARK, **options}


def sequence(kind, *steps):
    return {"type": "Sequence", kind: list(steps)}


def variant(normalizer=None, pre_tokenizer=None, decoder=LLAMA_DECODER, lacking=(), normalized=False, **model):
    """Everything but vocabulary and merges, which the variants share; `lacking` are tokens that get another name."""
    return {
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "decoder": decoder,
        "lacking": list(lacking),
        "normalized": normalized,
        "model": {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, **model},
    }


VARIANTS = {
    "Llama 2: a mark before each piece": variant(sequence("normalizers", PREPEND, REPLACE)),
    "Llama 2 of old, control tokens in normalised text": variant(
        sequence("normalizers", PREPEND, REPLACE), normalized=True
    ),
    "Mistral: a mark before the text alone": variant(
        pre_tokenizer=metaspace(prepend_scheme="first", split=False)
    ),
    "words cut at marks": variant(pre_tokenizer=metaspace(prepend_scheme="always", split=True)),
    "words cut at marks, one before the text alone": variant(
        pre_tokenizer=metaspace(prepend_scheme="first", split=True)
    ),
    "no mark put in front": variant(
        pre_tokenizer=metaspace(prepend_scheme="never", split=False),
        decoder=sequence("decoders", BACK, FALLBACK, FUSE),
    ),
    "Metaspace as older versions write it": variant(pre_tokenizer=metaspace(add_prefix_space=True, str_rep=MARK)),
    "marks by the normalizer, none in front": variant(REPLACE, decoder=sequence("decoders", BACK, FALLBACK, FUSE)),
    "runs of unknown characters are one token": variant(
        sequence("normalizers", PREPEND, REPLACE), byte_fallback=False
    ),
    "every unknown character is one token": variant(
        pre_tokenizer=metaspace(prepend_scheme="first", split=True), byte_fallback=False, fuse_unk=False
    ),
    "bytes that are missing": variant(
        sequence("normalizers", PREPEND, REPLACE), lacking=("<0xE2>", "<0xC3>", "<0x0A>"), fuse_unk=True
    ),
    "bytes that are missing, one unknown token each": variant(
        sequence("normalizers", PREPEND, REPLACE), lacking=("<0xE2>", "<0xC3>", "<0x0A>"), fuse_unk=False
    ),
    "unknown characters are dropped, NFKC": variant(
        sequence("normalizers", {"type": "NFKC"}, PREPEND, REPLACE), unk_token=None, byte_fallback=False
    ),
    "whole words before merges": variant(
        pre_tokenizer=metaspace(prepend_scheme="always", split=True), ignore_merges=True
    ),
    "digits cut out behind the marks": variant(
        pre_tokenizer=sequence(
            "pretokenizers", metaspace(prepend_scheme="first", split=False), {"type": "Digits", "individual_digits": True}
        )
    ),
}


def build(settings, vocab, merges):
    left = {token + "~" * (token in settings["lacking"]): id for token, id in vocab.items()}
    first = len(vocab)
    control = {"special": True, "normalized": settings["normalized"]}
    tokens = [added(content, vocab[content], **control) for content in CONTROL]
    tokens += [
        added("<|im_start|>", first, special=True),
        added("<|im_end|>", first + 1, special=True),
        added("<tool>", first + 2),
        added("<L>", first + 3, lstrip=True),
        added("<R>", first + 4, rstrip=True, special=True),
        added("<\u00e9 x>", first + 5, normalized=True),
        added("w\u00f8rd", first + 6, single_word=True),
        added("<0x41>", vocab["<0x41>"]),
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": tokens,
        "normalizer": settings["normalizer"],
        "pre_tokenizer": settings["pre_tokenizer"],
        "post_processor": None,
        "decoder": settings["decoder"],
        "model": {
            "type": "BPE",
            "dropout": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "vocab": left,
            "merges": merges,
            **settings["model"],
        },
    }


FRAGMENTS = [fragment.replace("\0", "|") for fragment in AWKWARD.replace("\\|", "\0").split("|")]
WORDS = (
    "the model| tokenizer|token by token|config.json| What is 12 + 34?|\\boxed{|\\frac{1}{2}|x_{i+1}^2 = |3.14159"
    "|1,234,567|0x1F|for (let i = 0; i < n; i++) {|\n    return x;\n|}\n\n|def f(x):\n\t|`deno task train`|https://a.b/c?d=e"
    "|<s>|</s>|<unk>|<\\|im_start\\|>user\n|<\\|im_end\\|>\n|<tool>|<\u00e9 x>|<e\u0301 x>|<0x41>|<0x0A>|\u2581|\u2581\u2581the| \u2581 "
    "|\u00e9\u00e8\u00ea|na\u00efve|Stra\u00dfe|\u0141\u00f3d\u017a|\u041f\u0440\u0438\u0432\u0435\u0442|\u0393\u03b5\u03b9\u03ac|\u0645\u0631\u062d\u0628\u0627|\u05e9\u05dc\u05d5\u05dd|\u0928\u092e\u0938\u094d\u0924\u0947"
    "|\u5feb\u601d\u8003|\u3053\u3093\u306b\u3061\u306f|\ud55c\uad6d\uc5b4|\u1100\u1161|Vi\u1ec7t|\U0001f600\U0001f3fd|\U0001f468\u200d\U0001f469\u200d\U0001f467|\U0001f1e9\U0001f1ea"
    "|\u00bd\u00b2|\u2460|\ufb01|\u2264|\u2211|\u222b|\u00ac|\u00a0|\u2003|\u200b|\ufeff|\ufffd|\x00|\x07|\x1b[0m|\x7f|\x85|\r\n|\r|\t\t|   |          "
)


def texts(count):
    rng = random.Random(2)
    words = [word.replace("\0", "|") for word in WORDS.replace("\\|", "\0").split("|")]
    every = words + FRAGMENTS
    yield from ["", " ", "  ", "a", " a", "a ", MARK, f"{MARK}a", "\n", "the  the", "<s>", "<s> a<s>a", "  <L>  <R>  "]
    for index in range(count - 13):
        if index < len(every):
            yield every[index]
        elif index % 6 == 0:
            yield bytes(rng.randint(0, 255) for _ in range(rng.randint(1, 24))).decode("utf-8", "replace")
        elif index % 6 == 1:
            yield "".join(chr(rng.choice((rng.randint(1, 0x7F), rng.randint(0x80, 0xD7FF), rng.randint(0xE000, 0x1FFFF)))) for _ in range(rng.randint(1, 10)))
        else:
            yield "".join(rng.choice(every) for _ in range(rng.randint(1, 9)))


def id_lists(size, vocab, count):
    """Random ids, many of them bytes: of characters, and of none."""
    rng = random.Random(3)
    for _ in range(count):
        ids = []
        while len(ids) < rng.randint(1, 14):
            kind = rng.randint(0, 3)
            if kind == 0:
                ids.append(rng.randint(3, 258))
            elif kind == 1:
                ids += [vocab[f"<0x{byte:02X}>"] for byte in rng.choice("\u00e9\u5feb\U0001f600\n \u0301").encode()]
            else:
                ids.append(rng.randint(0, size + 3))
        yield ids


def main():
    vocab, merges = train()
    cases = list(texts(700))
    lists = list(id_lists(len(vocab) + 7, vocab, 150))
    generator = f"tests/oracle/byte_fallback_tokenizers.py, tokenizers {tokenizers.__version__}"
    lines = [{"generator": generator, "texts": cases, "ids": lists, "vocab": vocab, "merges": merges}]
    for name, settings in VARIANTS.items():
        content = build(settings, vocab, merges)
        reference = Tokenizer.from_str(json.dumps(content))
        special = [reference.encode(text, add_special_tokens=False).ids for text in cases]
        decoded = [reference.decode(ids, skip_special_tokens=False) for ids in lists]
        skipped = [reference.decode(ids, skip_special_tokens=True) for ids in lists]
        back = [reference.decode(ids, skip_special_tokens=False) for ids in special]
        reference.encode_special_tokens = True
        plain = [reference.encode(text, add_special_tokens=False).ids for text in cases]
        content["model"].update(vocab=None, merges=None)
        recorded = {"special": special, "plain": plain, "decoded": decoded, "skipped": skipped, "back": back}
        lines.append({"name": name, "lacking": settings["lacking"], "json": content, **recorded})
    path = ROOT / "tests" / "fixtures" / "byte_fallback.jsonl.gz"
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{path}: {len(cases)} texts, {len(lists)} lists of ids, {len(VARIANTS)} tokenizers, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
