"""Every transform of SeaTunnel is found under the name that its job files use."""

import pytest

from headrace.connector import transforms
from headrace.testing import assert_described
from headrace.transforms._tables import TableOptions

NAMES = [
    "Copy", "DataValidator", "DefineSinkType", "DynamicCompile", "Embedding", "FieldEncrypt", "FieldMapper",
    "FieldRename", "Filter", "FilterRowKind", "JsonPath", "LLM", "Metadata", "Python", "RegexExtract", "Replace",
    "RowKindExtractor", "Split", "Sql", "TableFilter", "TableMerge", "TableRename", "TextChunk",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_is_found_by_its_name_and_chooses_its_tables(name):
    found = transforms.find(name.lower())
    assert transforms.names().count(name) == 1
    assert issubclass(found.Options, TableOptions)
    assert_described(found)


def test_there_are_no_others():
    assert transforms.names() == sorted(NAMES, key=str.lower)
