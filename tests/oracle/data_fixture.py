"""Writes the binary files of tests/fixtures/data as pyarrow and datasets write them.

    pip install pyarrow==26.0.1 datasets==5.2.0
    python tests/oracle/data_fixture.py tests/fixtures/data

Numbers that a float64 does not hold: an int64 beyond 2^53 and a float32. Arrow as a file (plain, LZ4, zstd),
with enough rows for frames of many blocks, and as the stream that datasets.save_to_disk writes.
"""

import sys
import tempfile
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet

out = Path(sys.argv[1])
BIG = 2**60

numbers = pa.table({
    "question": ["q0", "q1"],
    "answer": pa.array([0.1, 2.5], pa.float32()),
    "id": pa.array([BIG + 1, 5], pa.int64()),
    "choices": pa.array([None, None], pa.list_(pa.string())),
    "prompt": [[{"role": "user", "content": "u"}], [{"role": "user", "content": "v"}]],
    "scores": pa.array([[0.1, 0.2], None], pa.list_(pa.float32())),
})
parquet.write_table(numbers, out / "numbers.parquet", compression="zstd")
for codec in ["lz4", "zstd", "uncompressed"]:
    feather.write_feather(numbers, str(out / f"numbers.{codec}.arrow"), compression=codec)

integers = pa.table({"problem": ["2^60+1=", "x"], "answer": pa.array([BIG + 1, 7], pa.int64())})
parquet.write_table(integers, out / "int64.parquet")

text = "what is the sum of all numbers from one to this one? " * 3
blocks = pa.table({
    "question": [f"Row {i} of many: {text}" for i in range(2500)],
    "answer": [str(i) for i in range(2500)],
})
feather.write_feather(blocks, str(out / "blocks.lz4.arrow"), compression="lz4")

cells = pa.table({"prompt": ["p"], "reward_model": ['{"ground_truth": "5"}'], "data_source": ["x"]})
parquet.write_table(cells, out / "verl-json-rm.parquet")
feather.write_feather(pa.table({"question": ["q"], "answer": ["1"]}), str(out / "x.arrow"))

rows = [
    {
        "problem": f"{i}+1=",
        "answer": BIG + i,
        "messages": [
            {"role": "user", "content": f"{i}+1="},
            {"role": "assistant", "content": f"so \\boxed{{{i + 1}}}"},
        ],
    }
    for i in range(3)
]
with tempfile.TemporaryDirectory() as folder:
    datasets.Dataset.from_list(rows).save_to_disk(folder)
    [stream] = Path(folder).glob("*.arrow")
    (out / "datasets.arrow").write_bytes(stream.read_bytes())
