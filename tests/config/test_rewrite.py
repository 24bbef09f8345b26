"""Job files printed anew mean what they meant, in every format."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.config.job import JobConfig, parse_job
from headrace.config.rewrite import FORMATS, decrypt_document, encrypt_document, print_document, read_document
from headrace.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent
FENCED = re.compile(r"```hocon\n(.*?)```", re.DOTALL)
WHOLE = re.compile(r"^source \{.*^sink \{", re.DOTALL | re.MULTILINE)
"""A job, and not only the plugin that a page is about."""
PATHS = [*sorted((ROOT / "tests" / "jobs" / "seatunnel" / "jobs").rglob("*.conf")), *(ROOT / "examples").glob("*.conf")]
FILES = [(path.name, path.read_text()) for path in PATHS]
BLOCKS = [(page.name, text) for page in (ROOT / "docs").rglob("*.md") for text in FENCED.findall(page.read_text())]
FILES += [(name, text) for name, text in BLOCKS if WHOLE.search(text)]


def rewritten(text, to, written="hocon"):
    return print_document(read_document(text, written), to)


def meaning(job: JobConfig) -> JobConfig:
    """What a job is, apart from its text; names that a simple job may leave out are there."""
    job = replace(job, text="", file="", format="", variables=None, warnings=())
    job = replace(job, transforms=tuple(replace(p, name=p.name.replace("Sql", "sql")) for p in job.transforms))
    if len(job.sources) == len(job.sinks) == 1 and len(job.transforms) <= 1:
        bare = {k: tuple(replace(p, inputs=(), output=p.output if k == "sources" else None) for p in getattr(job, k))
                for k in ("sources", "transforms", "sinks")}  # fmt: skip
        bare["sources"] = tuple(replace(p, output=p.output or "default") for p in bare["sources"])
        job = replace(job, **bare)
    return job


def order(job: JobConfig) -> list:
    return [(p.place.lower(), repr(p.options)) for p in job.plugins]


VARIABLES = {"dynamic_job_mode": "BATCH", "dynamic_test_parallelism": "2", "input": "/in", "output": "/out"}


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize(("name", "text"), FILES, ids=[name for name, _ in FILES])
def test_a_job_means_the_same_in_every_format(name, text, to):
    before = parse_job(text, variables=VARIABLES)
    printed = rewritten(text, to)
    after = parse_job(printed, format=to, variables=VARIABLES)
    assert meaning(after) == meaning(before)
    assert order(after) == order(before)
    assert rewritten(printed, to, to) == printed
    assert meaning(parse_job(rewritten(printed, "hocon", to), variables=VARIABLES)) == meaning(before)


HOCON = """
# about the job
//
#   indented

base = /data   # where it is
env { job.name = "n", parallelism = 2 // two
  # nothing more
}
source {
  # the first
  A { path = ${base}/in, list = [1, "1"], list += 2, list = ${list} [3]
      plugin_output = a   # its name

      # deep
      schema { fields { "x.y" = int, x.z = string } } }
  A { "row.num" = 05, text = \"\"\"two
lines\"\"\", both = ${left}" and "${right}, plugin_output = b }
  # behind
}
transform {}
sink = [{ plugin_name = B, plugin_input = [a, b], rows = [
  { kind = INSERT, fields = [1, "x", null] } # one
  { kind = DELETE, fields = [] }
] }]
"""


def test_the_canonical_layout():
    assert (
        rewritten(HOCON, "hocon")
        == """# about the job
#
#   indented

base = "/data"  # where it is

env {
  job.name = "n"
  parallelism = 2  # two
  # nothing more
}

source {
  # the first
  A {
    path = ${base}"/in"
    list = [1, "1", 2, 3]
    plugin_output = "a"  # its name
    # deep
    schema {
      fields {
        "x.y" = "int"
        x.z = "string"
      }
    }
  }

  A {
    "row.num" = "05"
    text = \"\"\"two
lines\"\"\"
    both = ${left}" and "${right}
    plugin_output = "b"
  }

  # behind
}

transform {}

sink {
  B {
    plugin_input = ["a", "b"]
    # one
    rows = [
      { kind = "INSERT", fields = [1, "x", null] },
      { kind = "DELETE", fields = [] }
    ]
  }
}
"""
    )


@pytest.mark.parametrize("to", FORMATS)
def test_every_construct_of_hocon_keeps_its_meaning(to):
    variables = {"left": "l", "right": "5"}
    before, after = (
        parse_job(text, format=form, variables=variables)
        for text, form in ((HOCON, "hocon"), (rewritten(HOCON, to), to))
    )
    assert meaning(after) == meaning(before)
    assert order(after) == order(before)
    assert after.sources[0].options["path"] == "/data/in"
    assert after.sources[1].options["both"] == "l and 5"


def test_the_canonical_sql():
    text = """-- who
CREATE TABLE t WITH ('connector' = 'FakeSource', 'type' = 'source', 'row.num' = '5', 'a' = 5,
   'schema' = '{ fields { id = int } }');
/* the
 * screen */
CREATE TABLE `table` WITH ('connector' = 'Console', 'type' = 'sink');
INSERT INTO `table` SELECT id FROM t;
INSERT INTO `table` SELECT t;
create table "u v" as select * from t;
-- last
INSERT INTO `table` SELECT x FROM `u v` WHERE x <> ';'"""
    assert (
        rewritten(text, "sql", "sql")
        == """-- who
CREATE TABLE t WITH (
  'connector' = 'FakeSource',
  'type' = 'source',
  'row.num' = '5',
  'a' = 5,
  'schema' = '{
    fields {
      id = "int"
    }
  }'
);

-- the
-- screen
CREATE TABLE `table` WITH (
  'connector' = 'Console',
  'type' = 'sink'
);

INSERT INTO `table` SELECT id FROM t;

CREATE TABLE `u v` AS select * from t;

INSERT INTO `table` SELECT t;

-- last
INSERT INTO `table` SELECT x FROM `u v` WHERE x <> ';';
"""
    )


@pytest.mark.parametrize("to", ["json", "sql"])
def test_what_only_hocon_can_say_is_refused_with_its_place(to):
    text = "source { A {\n x = ${?maybe}\n y = [1] ${more} } }\nsink { B { z = ${a.b}, w = ${?w:1} } }"
    with pytest.raises(ConfigError) as error:
        rewritten(text, to)
    assert [(p.place, p.line) for p in error.value.problems] == [
        ("source[0].x", 2), ("source[0].y", 3), ("sink[0].w", 4),
    ]  # fmt: skip


def test_a_plugin_without_a_name_is_refused():
    with pytest.raises(ConfigError, match=r"source\[0\]: must be an object with plugin_name"):
        rewritten('{"source": ["A"], "sink": []}', "hocon", "json")


def test_an_included_file_becomes_part_of_the_job(tmp_path):
    (tmp_path / "more.conf").write_text("password = x")
    (tmp_path / "job.conf").write_text('source { A { include "more" } }\nsink { B {} }')
    root = read_document((tmp_path / "job.conf").read_text(), "hocon", str(tmp_path / "job.conf"))
    assert 'password = "x"' in print_document(root, "hocon")


# -------------------------------------------------------------------------------------------------------------- secrets


SECRETS = """# keep me
env {{ shade.identifier = {} }}
source {{ A {{ password = pw, user = me
  token = ${{outside}} }} }}
sink {{ B {{ auth = ["a", "b"], username = "${{who}}" }} }}
"""


def test_secrets_are_encrypted_and_the_rest_of_the_file_stays():
    root = read_document(SECRETS.format("base64"), "hocon")
    encrypt_document(root)
    encrypted = print_document(root, "hocon")
    assert encrypted == rewritten(SECRETS.format("base64"), "hocon").replace('"pw"', '"cHc="').replace(
        '["a", "b"]', '["YQ==", "Yg=="]'
    )
    root = read_document(encrypted, "hocon")
    decrypt_document(root)
    assert print_document(root, "hocon") == rewritten(SECRETS.format("base64"), "hocon")


@pytest.mark.parametrize("form", FORMATS)
def test_aes_leaves_what_is_encrypted_already(form, monkeypatch):
    monkeypatch.setenv("HEADRACE_SHADE_KEY", "0f" * 32)
    root = read_document(rewritten(SECRETS.format("aes"), form), form)
    encrypt_document(root)
    once = print_document(root, form)
    assert '"pw"' not in once
    assert "'pw'" not in once
    root = read_document(once, form)
    encrypt_document(root)
    assert print_document(root, form) == once
    job = parse_job(once, format=form, variables={"outside": job_secret(root), "who": job_secret(root)})
    assert (job.sources[0].options["token"], job.sinks[0].options["username"]) == ("pw", "pw")


def job_secret(root):
    return root["source"].items[0].block["password"]


def test_secrets_that_cannot_be_encrypted_or_decrypted_have_their_lines():
    root = read_document(SECRETS.format("base64").replace("${outside}", "x${outside}"), "hocon", "job.conf")
    with pytest.raises(ConfigError, match=r"job.conf:4: source\[0\].A.token: is part text, part reference"):
        encrypt_document(root, "job.conf")
    with pytest.raises(ConfigError, match=r"job.conf:3: source\[0\].A.password: cannot decrypt \*{6} with") as error:
        decrypt_document(read_document(SECRETS.format("base64").replace("pw", "p!w"), "hocon"), "job.conf")
    assert "p!w" not in str(error.value)


@pytest.mark.parametrize("identifier", ["default", "nonesuch"])
def test_a_job_without_a_cipher_is_not_taken_for_an_encrypted_one(identifier):
    with pytest.raises(ConfigError, match=r"env.shade.identifier: names no cipher; write one of aes, base64"):
        encrypt_document(read_document(SECRETS.format(identifier), "hocon"))


# ---------------------------------------------------------------------------------------------------- any job at all

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["1", "true", "null", "[x]", "{a = 1}", " [", "${x}", "${x:y}", "it's", 'a "b"', "\\d", "a\nb", "*/", "\n*/\n",
         " -- c", "#", "//", "a;b", "\t", '"""', "ü→𝄞", "select", "`", "1.10", "-0"]
    ),
)  # fmt: skip
SCALARS = st.one_of(TEXTS, st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.none())
KEYS = st.one_of(TEXTS.filter(bool), st.sampled_from(["row.num", "a b", "include", "a.b.c"])).filter(
    lambda key: key not in ("plugin_name", "plugin_input", "plugin_output", "parallelism")
)
VALUES = st.recursive(
    SCALARS, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(KEYS, v, max_size=3)), max_leaves=6
)
OPTIONS = st.dictionaries(KEYS, VALUES, max_size=4)
NAMES = st.sampled_from(["a", "b", "c", "select", "a__temp1", "a b", "a.b"])
PLUGINS = st.sampled_from(["X", "X-Y", "Y z", "connector", "${x}"])


@st.composite
def jobs(draw):
    def plugin(kind):
        found = {"plugin_name": draw(PLUGINS), **draw(OPTIONS)}
        if kind != "source" and draw(st.booleans()):
            found["plugin_input"] = draw(st.one_of(NAMES, st.lists(NAMES, min_size=1, max_size=2)))
        if kind != "sink" and draw(st.booleans()):
            found["plugin_output"] = draw(NAMES)
        if kind == "transform" and draw(st.booleans()):
            found |= {
                "plugin_name": "sql",
                "query": draw(st.sampled_from(["SELECT x FROM a", "select `x`, '''' from b t"])),
            }
        return found

    counts = {"source": (1, 3), "transform": (0, 3), "sink": (1, 3)}
    blocks = {kind: [plugin(kind) for _ in range(draw(st.integers(*counts[kind])))] for kind in counts}
    return {"env": {"job.name": draw(TEXTS)}, **blocks}


@settings(max_examples=100, deadline=None)
@given(job=jobs(), to=st.sampled_from(FORMATS), then=st.sampled_from(FORMATS))
def test_any_job_means_the_same_in_every_format(job, to, then):
    text = json.dumps(job)
    before = parse_job(text, format="json", variables={})
    printed = rewritten(text, to, "json")
    after = parse_job(printed, format=to, variables={})
    assert meaning(after) == meaning(before)
    assert order(after) == order(before)
    assert meaning(parse_job(rewritten(printed, then, to), format=then, variables={})) == meaning(before)
