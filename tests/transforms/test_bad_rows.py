"""One bad row in 65,536, in whole jobs, for every transform that cannot change every row."""

import base64

import pytest

from headrace.connector import transforms
from headrace.testing import TransformContract, batch, make, task

BAD = 40_000
DIVIDE = "def process(row, context):\n    return 100 // int(row['name'])"
DIVIDE_ALL = "import pyarrow.compute as pc\n" + "def process_batch(batch, context):\n    return {'n': %s}"
CAST = "pc.cast(batch['name'], 'int64')"
NUMBER = [{"dest_field": "n", "dest_type": "int"}]
KEY = base64.b64encode(bytes(range(16))).decode()

SEALED = make(transforms.find("FieldEncrypt"), fields=["name"], key=KEY).apply(batch((1, "x")), task())
TEXT = SEALED.rows["name"][0].as_py()

EVERY = {
    "Sql": ({"query": "SELECT id, CAST(name AS INT) AS n FROM people"}, "7", "x"),
    "JsonPath": ({"columns": [{**NUMBER[0], "src_field": "name", "path": "$.a"}]}, '{"a": 1}', "{"),
    "DataValidator": ({"field_rules": [{"field_name": "name", "rule_type": "LENGTH", "max_length": 3}]}, "ann", "anne"),
    "FieldEncrypt": ({"fields": ["name"], "key": KEY, "mode": "DECRYPT"}, TEXT, "ann"),
    "Python": ({"source_code": DIVIDE, "columns": NUMBER}, "5", "0"),
    "Python ": ({"source_code": DIVIDE_ALL % CAST, "columns": NUMBER}, "5", "x"),
}


@pytest.mark.job
@pytest.mark.parametrize("name", EVERY)
class TestOneBadRow(TransformContract):
    @pytest.fixture
    def transform(self, name):
        return make(transforms.find(name.strip()), **EVERY[name][0])

    @pytest.fixture
    def rows(self, name):
        return batch(*((i, EVERY[name][1]) for i in range(4)))

    @pytest.fixture
    def bad_rows(self, name):
        _, good, bad = EVERY[name]
        return batch(*((i, bad if i == BAD else good) for i in range(65_536)))
