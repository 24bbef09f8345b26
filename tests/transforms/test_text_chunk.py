"""TextChunk: pieces that are short enough and lose nothing."""

from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.options import read_options
from headrace.rows import Batch, ConstraintKey, PrimaryKey
from headrace.testing import TABLE, TransformContract, batch, make, task
from headrace.transforms.text_chunk import SEPARATORS, TextChunkTransform, chunks


class TestTextChunk(TransformContract):
    @pytest.fixture
    def transform(self):
        return make(TextChunkTransform, text_field="name", chunk_size=3, overlap_size=1)


@pytest.mark.parametrize(
    ("text", "separators", "size", "overlap", "pieces"),
    [
        ("abcdefg", [], 3, 0, ["abc", "def", "g"]),
        ("abcdefg", [], 3, 1, ["abc", "cde", "efg"]),
        ("ab", [], 3, 2, ["ab"]),
        ("🚰🚰🚰", [], 2, 0, ["🚰🚰", "🚰"]),
        ("a b c d", [" "], 4, 0, ["a b ", "c d"]),
        ("aa b c d", [" "], 5, 2, ["aa b ", "b c d"]),
        ("aa bb", [" "], 3, 2, ["aa ", "bb"]),
        ("one\n\ntwo three", ["\n\n", " "], 6, 0, ["one\n\n", "two ", "three"]),
        ("abcdef g", [" "], 4, 0, ["abcd", "ef g"]),
        ("a  b", ["", " "], 2, 0, ["a ", " b"]),
        ("", [" "], 3, 0, []),
    ],
)
def test_cuts_at_the_best_separator(text, separators, size, overlap, pieces):
    assert chunks(text, separators, size, overlap) == pieces


@given(st.text(alphabet="ab .\n🚰", max_size=60), st.integers(1, 12), st.sampled_from([[], SEPARATORS, [" "]]))
def test_pieces_without_overlap_are_the_text(text, size, separators):
    pieces = chunks(text, separators, size, 0)
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= size for piece in pieces)


@given(st.lists(st.booleans(), max_size=60), st.integers(2, 12), st.data())
def test_pieces_with_overlap_follow_one_another_in_the_text(ends_word, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    letters = [chr(0x4E00 + i) for i in range(len(ends_word))]
    text = "".join(letter + " " * ends for letter, ends in zip(letters, ends_word, strict=True))
    seen = []
    for piece in chunks(text, data.draw(st.sampled_from([[], SEPARATORS])), size, overlap):
        found = [letter for letter in piece if letter != " "]
        again = [letter for letter in found if letter in seen]
        assert len(piece) <= size
        assert len(again) <= overlap
        assert again == seen[len(seen) - len(again) :]
        seen += found[len(again) :]
    assert seen == letters


def apply(rows, **options):
    return make(TextChunkTransform, text_field="name", chunk_size=2, **options).apply(rows, task())


ROWS = batch((1, "abc"), (2, None), (3, ""), (4, "d"))


def test_each_piece_is_a_row_with_the_columns_of_its_text():
    found = apply(Batch(ROWS.rows, "t", pa.array([1, 2, 3, 0], pa.uint8())))
    assert [tuple(row.values()) for row in found.rows.to_pylist()] == [
        (1, "abc", "ab", 0),
        (1, "abc", "c", 1),
        (4, "d", "d", 0),
    ]
    assert found.kinds.to_pylist() == [1, 1, 0]


def test_empty_texts_can_stay():
    found = apply(ROWS, skip_empty_text=False).rows
    assert found["id"].to_pylist() == [1, 1, 2, 3, 4]
    assert found["chunk"].to_pylist() == ["ab", "c", None, None, "d"]
    assert found["chunk_index"].to_pylist() == [0, 1, 0, 0, 0]


def test_the_pieces_may_take_the_place_of_the_text():
    assert apply(ROWS, output_field="name").rows.select(["name"]).to_pydict() == {"name": ["ab", "c", "d"]}


def test_keys_get_the_number_of_the_piece():
    keys = (ConstraintKey("u", "UNIQUE_KEY", (("id", None),)), ConstraintKey("i", "INDEX_KEY", (("id", None),)))
    table = replace(TABLE, primary_key=PrimaryKey("pk", ("id",)), constraint_keys=keys)
    made = make(TextChunkTransform, text_field="name").schema(table)
    assert made.primary_key == PrimaryKey("pk", ("id", "chunk_index"))
    assert [key.columns for key in made.constraint_keys] == [(("id", None), ("chunk_index", "ASC")), (("id", None),)]
    with pytest.raises(ConfigError, match=r"chunk_index_field: column 'id' is part of a key of table db\.people"):
        make(TextChunkTransform, text_field="name", chunk_index_field="id").schema(table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk_size": 0}, "greater than 0"),
        ({"chunk_size": 3, "overlap_size": 3}, "overlap_size 3 must be below chunk_size 3"),
        ({"output_field": "x", "chunk_index_field": "x"}, "are both 'x'"),
    ],
)
def test_wrong_options_say_what_is_wrong(options, message):
    [problem] = read_options(TextChunkTransform.Options, {"text_field": "name", **options}).problems
    assert message in str(problem)


def test_a_wrong_column_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"^text_field: .* 'nam'; did you mean 'name'\?"):
        make(TextChunkTransform, text_field="nam").schema(TABLE)
