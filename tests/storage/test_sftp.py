"""SFTP: the contract of storages on OpenSSH's server, its errors, and what a broken line does."""

import json
import uuid
from dataclasses import asdict, replace

import pytest

from headrace.errors import Rejected, Unavailable
from headrace.storage.sftp import SftpPlace, SftpStorage, check_host_key
from headrace.testing import StorageContract
from tests.storage.rename_faults import RenameFaults, visible
from tests.storage.sshd import PASSWORD, PHRASE, Sshd, as_account_with_a_full_disk

pytestmark = pytest.mark.service


@pytest.fixture
def server(sshd):
    return sshd


@pytest.fixture
def root(server):
    return f"{server.home}/{uuid.uuid4().hex}/target"


@pytest.fixture
def storage(server):
    return SftpStorage(server.place())


def storage_at(**place):
    return SftpStorage(SftpPlace(**place))


class TestSftpStorage(StorageContract):
    @pytest.fixture
    def storage(self, server):
        return SftpStorage(server.place())

    @pytest.fixture
    def root(self, server):
        return f"{server.home}/{uuid.uuid4().hex}/target"

    @pytest.fixture
    def temporary(self, root):
        return f"{root}-tmp"

    def elsewhere(self, storage):
        return SftpStorage(replace(storage._server.place, known_hosts="unused"))


class TestFaults(RenameFaults):
    module = "tests.storage.test_sftp"

    @pytest.fixture
    def arguments(self, server):
        return asdict(server.place())

    @pytest.fixture
    def full(self, server):
        running = Sshd(server.folder, server.port)
        server.stop()
        running.start(as_account_with_a_full_disk)
        yield SftpStorage(running.place(passphrase="of another connection"))
        running.stop()
        server.start()


# ---------------------------------------------------------------------------------------------------------- logging in


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"password": "wrong"}, Rejected, "it does not let 'tester' in; correct user or password"),
        ({"user": "nobody-else"}, Rejected, "it does not let 'nobody-else' in; correct user or password"),
        ({"password": "", "key": "{folder}/other"}, Rejected, "not let 'tester' in; correct user or private_key_path"),
        ({"password": "", "key": "{folder}/locked"}, Rejected, "is locked; set private_key_passphrase"),
        ({"password": "", "key": "{folder}/locked", "passphrase": "x"}, Rejected, "see private_key_path and"),
        ({"password": "", "key": "{folder}/none"}, Rejected, "there is no key .*/none; correct private_key_path"),
        ({"password": "", "key": "{folder}/config"}, Rejected, "see private_key_path and private_key_passphrase"),
        ({"host_key": ""}, Rejected, r"is in no file of known hosts .*set host_key = 'SHA256:"),
        ({"host_key": "SHA256:aaaa"}, Rejected, "is not the one of host_key: ssh-ed25519 SHA256:"),
        ({"host_key": "", "known_hosts": "{folder}/none"}, Rejected, "there is no file .*/none; correct known_hosts"),
        ({"host_key": "", "known_hosts": "{folder}/mistaken"}, Rejected, "Somebody may have taken its place"),
        ({"host": "no-such-host.invalid"}, Rejected, "there is no such host; correct host"),
        ({"port": 1}, Unavailable, "see whether host and port are right"),
    ],
)
def test_who_cannot_log_in_is_told_why_and_the_cure(server, root, monkeypatch, tmp_path, change, error, text):
    monkeypatch.setenv("HOME", str(tmp_path))
    other = (server.folder / "other.pub").read_text()
    (server.folder / "mistaken").write_text(f"[127.0.0.1]:{server.port} {other}")
    change = {
        key: value.format(folder=server.folder) if isinstance(value, str) else value for key, value in change.items()
    }
    storage = SftpStorage(replace(server.place(), **change))
    for use in (lambda: storage.stat(f"{root}/f"), lambda: storage.write(f"{root}/f", b"")):
        with pytest.raises(error, match=text) as told:
            use()
        assert str(told.value).startswith(("cannot log in to sftp://", "there is no file"))
        assert not {PASSWORD, PHRASE, "wrong"} & set(str(told.value).split())


@pytest.mark.parametrize(
    "change",
    [
        {"password": "", "key": "{folder}/user"},
        {"password": "", "key": "{folder}/locked", "passphrase": PHRASE},
        {"host_key": "", "known_hosts": "{folder}/known"},
        {"host_key": "", "checked": False},
        {"host_key": "{fingerprint}"},
    ],
)
def test_who_may_logs_in(server, root, monkeypatch, tmp_path, change):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Rejected, match="set host_key = '(?P<key>SHA256:[^']*)'") as told:
        SftpStorage(replace(server.place(), host_key="")).stat("/")
    fingerprint = str(told.value).rpartition("host_key = ")[2].strip("'")
    (server.folder / "known").write_text(f"[127.0.0.1]:{server.port} {(server.folder / 'host.pub').read_text()}")
    names = {"folder": server.folder, "fingerprint": fingerprint}
    change = {key: value.format(**names) if isinstance(value, str) else value for key, value in change.items()}
    storage = SftpStorage(replace(server.place(), **change))
    storage.write(f"{root}/f", b"rows")
    assert visible(storage, root) == {"f"}


@pytest.mark.parametrize("given", ["ssh-ed25519", "ssh-ed25519 x", "MD5:aa:bb", "SHA1:xx"])
def test_what_is_no_key_of_a_server_is_refused(given):
    with pytest.raises(ValueError, match="is not a key, such as"):
        check_host_key(given)


def test_a_relative_path_begins_where_the_user_logs_in(server, storage):
    folder = uuid.uuid4().hex
    storage.write(f"{folder}/f", b"rows")
    assert (server.home / folder / "f").read_bytes() == b"rows"
    assert [one.path for one in storage.files(folder)] == [f"{folder}/f"]


def test_links_are_followed_and_removed_alone(server, storage, root):
    storage.write(f"{root}/there/f", b"rows")
    (server.home / root / "here").symlink_to(server.home / root / "there")
    (server.home / root / "nowhere").symlink_to("gone")
    assert sorted(visible(storage, root)) == ["here/f", "there/f"]
    storage.delete(f"{root}/here")
    assert visible(storage, root) == {"there/f"}


def test_places_show_no_secrets(server):
    place = server.place(passphrase=PHRASE)
    assert PASSWORD in json.dumps(asdict(place))
    assert not any(secret in repr(place) for secret in (PASSWORD, PHRASE))
