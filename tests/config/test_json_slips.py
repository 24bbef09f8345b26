import pytest

from headrace.config.job import parse_job
from headrace.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{"env": {},\n "source": [,], "sink": [{}]}', 2, "a value is missing"),
        ('{"source": [],\n"sink": [{"plugin_name": "Console",}]}', 2, "double quotes is missing"),
        ('{"source": [],\n\n"sink": [{"a": yes}]}', 3, "a value is missing"),
        ('// a job\n{"source": []}', 1, "JSON has no comments"),
        ('{"source": []\n"sink": []}', 2, ""),
        ("{'source': []}", 1, "double quotes is missing"),
        ('{"source": [01]}', 1, "a comma is missing"),
        ('{"source": []', 1, "closing brace"),
    ],
)
def test_what_is_not_json_is_told_with_its_line(text, line, message):
    with pytest.raises(ConfigError) as raised:
        parse_job(text, format="json", file="job.json")
    [problem] = raised.value.problems
    assert (problem.line, problem.message.startswith("not JSON: line ")) == (line, True)
    assert message in problem.message


def test_json_with_a_mark_at_its_beginning_and_a_number_of_any_length_is_json():
    digits = "9" * 5000
    job = parse_job(f'\ufeff{{"source": [{{"plugin_name": "FakeSource", "x": {digits}}}], "sink": []}}', format="json")
    assert job.sources[0].name == "FakeSource"
