"""Secrets that lie encrypted in a job file."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config.ciphers import KEY, KEY_FILE, Aes, Base64
from headrace.config.job import parse_job
from headrace.config.shade import KEYS, decrypt_config, encrypt_config
from headrace.errors import ConfigError

SECRET = "f0" * 32


def job(identifier="base64", source=None, sink=None, **env):
    return {
        "env": {"job.mode": "BATCH", **({"shade.identifier": identifier} if identifier else {}), **env},
        "source": [{"plugin_name": "A", **(source or {})}],
        "transform": [{"plugin_name": "T", "password": "left"}],
        "sink": [{"plugin_name": "B", **(sink or {})}],
    }


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("HEADRACE_SHADE_KEY", SECRET)


def test_base64_is_what_seatunnel_writes():
    secrets = {"username": "seatunnel", "password": "seatunnel_password", "table": "password"}
    found = encrypt_config(job(source=secrets, sink=secrets))
    for kind in ("source", "sink"):
        assert found[kind][0]["username"] == "c2VhdHVubmVs"
        assert found[kind][0]["password"] == "c2VhdHVubmVsX3Bhc3N3b3Jk"
        assert found[kind][0]["table"] == "password"
    assert found["transform"] == [{"plugin_name": "T", "password": "left"}]


@pytest.mark.parametrize("identifier", [None, "default", "no such cipher"])
def test_without_a_known_cipher_nothing_changes(identifier):
    before = job(identifier, {"password": "x"})
    assert encrypt_config(before) == before == decrypt_config(before)


def test_the_order_of_keys_stays():
    before = job(source={"z": 1, "token": "t", "a": 2, "auth": "u"})
    assert list(encrypt_config(before)) == list(before)
    assert list(encrypt_config(before)["source"][0]) == ["plugin_name", "z", "token", "a", "auth"]


def test_env_may_be_nested_and_may_name_more_options():
    before = job(None, {"sas": "x", "password": "y"}, shade={"identifier": "base64", "options": ["sas"]})
    found = encrypt_config(before)["source"][0]
    assert (found["sas"], found["password"]) == ("eA==", "eQ==")


def test_lists_and_numbers_are_secrets_and_blocks_are_not():
    found = encrypt_config(job(source={"token": ["a", "b"], "password": 12, "auth": {"type": "x"}, "username": None}))
    assert found["source"][0] == {
        "plugin_name": "A", "token": ["YQ==", "Yg=="], "password": "MTI=", "auth": {"type": "x"}, "username": None,
    }  # fmt: skip


def test_a_reference_comes_from_outside_encrypted_already():
    assert encrypt_config(job(source={"password": "${PW}"}))["source"][0]["password"] == "${PW}"


def test_all_that_cannot_be_decrypted_is_named_and_no_value_is_shown():
    with pytest.raises(ConfigError) as error:
        decrypt_config(job(source={"password": "pässword!"}, sink={"token": "gf8=", "username": "${WHO}"}))
    text = str(error.value)
    assert "source[0].password: cannot decrypt ****** with cipher 'base64': it is not the base64 of a text" in text
    assert "sink[0].token" in text
    assert "sink[0].username: ${WHO} has no value" in text
    assert "pässword" not in text
    assert "gf8" not in text


@given(text=st.text())
def test_base64_gives_back_every_text(text):
    assert Base64({}).decrypt(Base64({}).encrypt(text)) == text
    assert Base64({}).decrypt(Base64({}).encrypt(text).rstrip("=")) == text


@pytest.mark.parametrize("text", ["", "x", "päss wörd\n", "a" * 5000])
def test_aes_gives_back_the_text_and_never_writes_it_twice_alike(key, text):
    before = job("aes", dict.fromkeys(KEYS, text))
    once, twice = encrypt_config(before), encrypt_config(before)
    assert decrypt_config(once) == decrypt_config(twice) == before
    written = [value for name in KEYS for value in (once["source"][0][name], twice["source"][0][name])]
    assert len(set(written)) == len(written)


def test_aes_notices_another_key_a_changed_byte_and_plain_text(key, monkeypatch):
    sealed = Aes({}).encrypt("secret")
    changed = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    with pytest.raises(ValueError, match="changed since"):
        Aes({}).decrypt(changed)
    for plain in ("secret", "c2VjcmV0", "", "é"):
        with pytest.raises(ValueError, match="it is not encrypted"):
            Aes({}).decrypt(plain)
    monkeypatch.setenv("HEADRACE_SHADE_KEY", "ab" * 32)
    with pytest.raises(ValueError, match="another key"):
        Aes({}).decrypt(sealed)


def test_the_key_may_be_base64_and_may_lie_in_a_file(key, monkeypatch, tmp_path):
    sealed = Aes({}).encrypt("secret")
    (tmp_path / "key").write_text("8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PA=\n")
    monkeypatch.delenv("HEADRACE_SHADE_KEY")
    monkeypatch.setenv("HEADRACE_SHADE_KEY_FILE", str(tmp_path / "key"))
    assert Aes({}).decrypt(sealed) == "secret"


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("HEADRACE_SHADE_KEY", "", "there is no key"),
        ("HEADRACE_SHADE_KEY", "short", "HEADRACE_SHADE_KEY holds no key of 32 bytes"),
        ("HEADRACE_SHADE_KEY_FILE", "/no/such/file", "No such file"),
    ],
)
def test_a_missing_or_wrong_key_is_said_with_its_cure(monkeypatch, variable, value, reason):
    monkeypatch.delenv("HEADRACE_SHADE_KEY", raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=reason) as error:
        encrypt_config(job("aes", {"password": "hidden"}))
    assert "hidden" not in json.dumps(str(error.value))


# ------------------------------------------------------------------------------------------------------ in job files


TEXT = """
env { shade.identifier = base64, shade.options = [path] }
source { FakeSource { password = "c2VjcmV0", other = "c2VjcmV0" } }
transform { Copy { password = "c2VjcmV0" } }
sink {
  Console { token = ["YQ==", "Yg=="]
    path = "b3V0" }
}
"""


def test_a_job_that_was_read_holds_plain_secrets_and_its_text_does_not():
    job = parse_job(TEXT)
    assert job.sources[0].options == {"password": "secret", "other": "c2VjcmV0"}
    assert job.transforms[0].options == {"password": "c2VjcmV0"}
    assert job.sinks[0].options == {"token": ["a", "b"], "path": "out"}
    assert job.text == TEXT
    assert "shade" not in str(job.warnings)


def test_a_variable_brings_its_secret_encrypted():
    text = TEXT.replace('"c2VjcmV0", other', "${pw}, other")
    assert parse_job(text, variables={"pw": "eA=="}).sources[0].options["password"] == "x"
    with pytest.raises(ConfigError, match=r"source\[0\].FakeSource.password: \$\{pw\} has no value"):
        parse_job(text)


def test_the_line_of_every_wrong_secret_is_said():
    text = TEXT.replace("c2VjcmV0", "öffentlich").replace("b3V0", "out!")
    with pytest.raises(ConfigError) as error:
        parse_job(text, file="job.conf")
    assert [(p.line, p.place) for p in error.value.problems] == [
        (3, "source[0].FakeSource.password"),
        (7, "sink[0].Console.path"),
    ]
    assert "öffentlich" not in str(error.value)


def test_an_unknown_cipher_is_a_warning_with_the_known_ones():
    job = parse_job(TEXT.replace("= base64", "= vault"))
    assert job.sources[0].options["password"] == "c2VjcmV0"
    assert [str(p) for p in job.warnings] == [
        "env.shade.identifier: there is no cipher 'vault': secrets are taken as they stand; known ones are aes, base64"
    ]


def test_a_missing_key_is_a_problem_of_env(monkeypatch):
    monkeypatch.delenv("HEADRACE_SHADE_KEY", raising=False)
    with pytest.raises(
        ConfigError, match=r"job.conf:2: env.shade.identifier: cannot use cipher 'aes': there is no key"
    ):
        parse_job(TEXT.replace("= base64", "= aes"), file="job.conf")


@pytest.mark.parametrize("name", [KEY, KEY_FILE])
def test_the_key_cannot_be_read_by_a_job(key, monkeypatch, name):
    monkeypatch.setenv(name, SECRET)
    job = parse_job(f'source {{ A {{ a = ${{{name}}}, b = "${{{name}:none}}" }} }}')
    assert job.sources[0].options == {"a": f"${{{name}}}", "b": "none"}


CIPHER = """
from headrace.config.ciphers import Cipher

class Turned(Cipher):
    keys = ("path",)

    def encrypt(self, text):
        return text[::-1] + self.properties["suffix"]

    def decrypt(self, text):
        return text.removesuffix(self.properties["suffix"])[::-1]
"""


@pytest.mark.job
@pytest.mark.parametrize("runner", ["embedded", "processes"])
def test_a_package_adds_a_cipher_by_entry_point(tmp_path, runner):
    (tmp_path / "turned_cipher.py").write_text(CIPHER)
    info = tmp_path / "turned_cipher-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: turned-cipher\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[headrace.ciphers]\nturned = turned_cipher:Turned\n")
    (tmp_path / "job.conf").write_text("""
    env { shade.identifier = turned, shade.properties { suffix = "!" } }
    source { FakeSource { row.num = 2, schema { fields { n = int } } } }
    sink { LocalFile { path = "tuo!", file_format_type = csv } }""")
    command = [sys.executable, "-m", "headrace", "run", "-q", "--runner", runner, "job.conf"]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("*.csv"))) >= 1
    (tmp_path / "job.conf").write_text((tmp_path / "job.conf").read_text().replace("suffix", "sufix"))
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert "sink[0].LocalFile.path: cannot decrypt ****** with cipher 'turned' (KeyError)" in done.stderr


def test_who_passes_a_job_on_needs_no_key(monkeypatch):
    monkeypatch.delenv("HEADRACE_SHADE_KEY", raising=False)
    job = parse_job(TEXT.replace("= base64", "= aes"), decrypt=False)
    assert job.sources[0].options["password"] == "c2VjcmV0"
