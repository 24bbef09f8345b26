"""Every transform on full batches: rows per second on one core, and a chain of five against its slowest member."""

import argparse
import base64
import json
import sys
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.connector import JobContext, TaskContext, Transform, transforms
from headrace.options import read_options
from headrace.rows import TARGET_ROWS, Batch

KEY = base64.b64encode(bytes(16)).decode()
BY_ROW = "def process(row, context):\n    return row['id'] * 2"
BY_BATCH = """
import pyarrow.compute as pc
def process_batch(batch, context):
    return {"twice": pc.multiply(batch["id"], 2)}
"""
LONG = "Rows become chunks. " * 10

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "Copy": ("Copy", {"fields": {"id2": "id", "name2": "name"}}),
    "FieldMapper": ("FieldMapper", {"field_mapper": {"name": "n", "id": "i"}}),
    "FieldRename": ("FieldRename", {"convert_case": "UPPER", "prefix": "c_"}),
    "Filter": ("Filter", {"exclude_fields": ["name"]}),
    "FilterRowKind": ("FilterRowKind", {"exclude_kinds": ["DELETE"]}),
    "RowKindExtractor": ("RowKindExtractor", {}),
    "Metadata": ("Metadata", {"metadata_fields": {"Database": "db", "Table": "t", "RowKind": "kind"}}),
    "DefineSinkType": ("DefineSinkType", {"columns": [{"column": "id", "type": "number"}]}),
    "TableRename": ("TableRename", {"prefix": "ods_"}),
    "TableFilter": ("TableFilter", {"table_pattern": "peo.*"}),
    "TableMerge": ("TableMerge", {"database": "all", "table": "people"}),
    "Replace, text": ("Replace", {"replace_field": "city", "pattern": "e", "replacement": "E"}),
    "Replace, regex, 50 values": (
        "Replace",
        {"replace_field": "city", "pattern": "(e)(.)", "replacement": "$2$1", "is_regex": True},
    ),
    "Replace, regex, all differ": (
        "Replace",
        {"replace_field": "name", "pattern": "(e)(.)", "replacement": "$2$1", "is_regex": True},
    ),
    "Split, 50 values": ("Split", {"split_field": "city", "separator": " ", "output_fields": ["a", "b"]}),
    "Split, all differ": ("Split", {"split_field": "name", "separator": "-", "output_fields": ["a", "b"]}),
    "RegexExtract, all differ": (
        "RegexExtract",
        {"source_field": "name", "regex_pattern": r"(\w+)-(\d+)", "output_fields": ["a", "b"]},
    ),
    "JsonPath, 2 paths": (
        "JsonPath",
        {
            "columns": [
                {"src_field": "json", "path": "$.a.b[0]", "dest_field": "x", "dest_type": "int"},
                {"src_field": "json", "path": "$.c", "dest_field": "y"},
            ]
        },
    ),
    "DataValidator, 4 rules": (
        "DataValidator",
        {
            "field_rules": [
                {"field_name": "id", "rules": [{"rule_type": "NOT_NULL"}, {"rule_type": "RANGE", "min_value": 0}]},
                {"field_name": "name", "rule_type": "LENGTH", "max_length": 50},
                {"field_name": "city", "rule_type": "REGEX", "pattern": "city.*"},
            ]
        },
    ),
    "FieldEncrypt, AES_CBC": ("FieldEncrypt", {"fields": ["name"], "key": KEY}),
    "FieldEncrypt, AES_GCM": ("FieldEncrypt", {"fields": ["name"], "key": KEY, "algorithm": "AES_GCM"}),
    "TextChunk, 200 characters": ("TextChunk", {"text_field": "long", "chunk_size": 50, "overlap_size": 20}),
    "Sql, 5 expressions, WHERE": (
        "Sql",
        {"query": "select id, id + 1 as a, price * 2 as b, price + id as c, id % 7 as d from t where price > 100"},
    ),
    "Sql, 3 of texts, WHERE": (
        "Sql",
        {"query": "select upper(name) as a, concat(city, '!') as b, substring(name, 2, 3) as c from t where id > 9"},
    ),
    "Python, process": ("Python", {"source_code": BY_ROW, "columns": [{"dest_field": "twice", "dest_type": "bigint"}]}),
    "Python, process_batch": (
        "Python",
        {"source_code": BY_BATCH, "columns": [{"dest_field": "twice", "dest_type": "bigint"}]},
    ),
}
CHAIN = ["Copy", "Replace, text", "FieldMapper", "Filter", "Metadata"]
CHAINED: dict[str, dict[str, Any]] = {"FieldMapper": {"field_mapper": {n: n for n in ("id", "name", "city", "id2")}}}


def people(rows: int) -> Batch:
    """Numbers, texts that all differ, texts of 50 values, JSON, long texts."""
    numbers = np.arange(rows)
    columns = {
        "id": pa.array(numbers),
        "price": pa.array(numbers * 1.25),
        "name": pa.array([f"person-{number}" for number in numbers]),
        "city": pa.array([f"city number {number % 50}" for number in numbers]),
        "json": pa.array([json.dumps({"a": {"b": [int(number), 1]}, "c": "text"}) for number in numbers]),
        "long": pa.array([LONG] * rows),
    }
    return Batch(pa.record_batch(columns), "db.people")


def made(name: str, options: dict[str, Any]) -> Transform:
    """A transform from a job file's values."""
    cls = transforms.find(name)
    if cls is None:
        raise LookupError(f"there is no transform {name!r}")
    read = read_options(cls.Options, options)
    if read.options is None:
        raise ValueError(f"{name}: {'; '.join(map(str, read.problems))}")
    return cls(read.options)


def rate(chain: Sequence[Transform], batch: Batch, seconds: float) -> float:
    """Rows per CPU-second of some transforms after one another; the best of the runs that fit into the time."""
    task, best, until = TaskContext(JobContext(1)), 0.0, time.monotonic() + seconds
    while True:
        began = time.process_time()
        current = batch
        for transform in chain:
            result = transform.apply(current, task)
            current = result if isinstance(result, Batch) else result[0]
        best = max(best, batch.num_rows / max(time.process_time() - began, 1e-7))
        if time.monotonic() > until:
            return best


def chain(batch: Batch, seconds: float) -> None:
    """Five transforms after one another, and the slowest of them on what reaches it."""
    steps = [made(CASES[title][0], CHAINED.get(title, CASES[title][1])) for title in CHAIN]
    slowest, current = float("inf"), batch
    for step in steps:
        slowest = min(slowest, rate([step], current, seconds))
        current = step.apply(current, TaskContext(JobContext(1)))  # type: ignore[assignment]
    whole = rate(steps, batch, seconds)
    print(f"  {' → '.join(CHAIN)}")
    print(f"  {'':<36} {whole / 1e6:10.3f} M rows/CPU-s, x {whole / slowest:.2f} of its slowest")


class Model(BaseHTTPRequestHandler):
    """A service of this machine that answers at once, in the way of OpenAI."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "messages" in given:
            rows = json.loads(given["messages"][1]["content"])
            body: Any = {"choices": [{"message": {"content": json.dumps(["x"] * len(rows))}}]}
        else:
            texts = given["input"] if isinstance(given["input"], list) else [given["input"]]
            body = {"data": [{"embedding": [0.5] * 256} for _ in texts]}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name of the class above
        """Say nothing."""


def services(batch: Batch, seconds: float) -> None:
    """LLM and Embedding against a service that costs nothing but HTTP and JSON; wall time, for they wait."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    common = {
        "model_provider": "OPENAI",
        "model": "m",
        "api_key": "k",
        "api_path": f"http://127.0.0.1:{server.server_port}",
    }
    cases = {
        "LLM, 100 rows a request": ("LLM", {**common, "prompt": "?", "inference_columns": ["name"]}),
        "Embedding, 64 a request, 256 floats": (
            "Embedding",
            {**common, "vectorization_fields": {"v": "name"}, "single_vectorized_input_number": 64},
        ),
    }
    for title, (name, options) in cases.items():
        transform, done, began = made(name, options), 0, time.monotonic()
        while time.monotonic() - began < seconds or not done:
            done += transform.apply(batch, TaskContext(JobContext(1))).num_rows  # type: ignore[union-attr]
        print(f"  {title:<36} {done / (time.monotonic() - began) / 1e6:10.3f} M rows/s wall")
    server.shutdown()
    server.server_close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time, for a first look")
    parser.add_argument("names", nargs="*", help="only cases whose title contains one of these")
    given = parser.parse_args()
    seconds, batch = (0.1 if given.quick else 1.0), people(TARGET_ROWS)
    wanted = {
        title: case
        for title, case in CASES.items()
        if not given.names or any(name.lower() in title.lower() for name in given.names)
    }
    print(f"{TARGET_ROWS:,} rows a batch, rows per CPU-second on one core")
    for title, (name, options) in wanted.items():
        print(f"  {title:<36} {rate([made(name, options)], batch, seconds) / 1e6:10.3f} M rows/CPU-s", flush=True)
    if not given.names:
        chain(batch, seconds)
        services(batch.slice(0, 6400), seconds)


if __name__ == "__main__":
    sys.exit(main())
