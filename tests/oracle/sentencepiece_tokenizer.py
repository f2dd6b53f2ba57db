"""Writes tests/fixtures/sentencepiece.json.gz: a small SentencePiece model as a GGUF file would hold it (pieces,
scores, types), and the ids that the library `sentencepiece` finds for awkward texts and for runs of spaces.
As in Llama 2's model, runs of spaces share one score below all others.

    pip install -r tests/oracle/requirements.txt
    python tests/oracle/sentencepiece_tokenizer.py
"""

import gzip
import io
import json
import random

import sentencepiece
from byte_fallback_tokenizers import MARK, ROOT, texts
from sentencepiece import sentencepiece_model_pb2


def train():
    lines = [line for path in sorted((ROOT / "docs").glob("*.md")) for line in path.read_text().split("\n") if line]
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines + ["x" + " " * n + "y" for n in range(2, 20)] * 9),
        model_writer=written,
        vocab_size=1200,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        character_coverage=0.999,
        minloglevel=2,
    )
    model = sentencepiece_model_pb2.ModelProto.FromString(written.getvalue())
    for piece in model.pieces:
        if len(piece.piece) > 1 and set(piece.piece) == {MARK}:
            piece.score = -1e9
    return model


def main():
    model = train()
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    rng = random.Random(4)
    parts = ["a", "\n", "  ", "   ", " " * 5, " " * 9, " " * 13, " " * 17, "the", " x", "\t"]
    cases = list(texts(700))
    cases += [" " * n for n in range(3, 70)] + ["a" + " " * n + "b" for n in range(3, 40)]
    cases += ["".join(rng.choice(parts) for _ in range(12)) for _ in range(100)]
    out = {
        "generator": f"tests/oracle/sentencepiece_tokenizer.py, sentencepiece {sentencepiece.__version__}",
        "tokens": [piece.piece for piece in model.pieces],
        "scores": [piece.score for piece in model.pieces],
        "types": [piece.type for piece in model.pieces],
        "texts": cases,
        "ids": [processor.encode(text) for text in cases],
    }
    runs = sum(score == -1e9 for score in out["scores"])
    path = ROOT / "tests" / "fixtures" / "sentencepiece.json.gz"
    path.write_bytes(gzip.compress((json.dumps(out, separators=(",", ":")) + "\n").encode(), 9, mtime=0))
    print(f"{path}: {len(cases)} texts, {len(out['tokens'])} pieces, {runs} runs of spaces, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
