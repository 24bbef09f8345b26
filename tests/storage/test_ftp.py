"""FTP: the contract of storages on vsftpd and pyftpdlib, errors, and what a broken line does."""

import uuid
from dataclasses import asdict, replace

import pytest

from headrace.errors import Rejected, Unavailable
from headrace.storage.ftp import FtpPlace, FtpStorage, _fields
from headrace.testing import StorageContract
from tests.storage.rename_faults import CLAIM, RenameFaults, staged, visible
from tests.storage.sshd import as_account_with_a_full_disk
from tests.storage.vsftpd import PASSWORD, Pyftpdlib, Vsftpd

pytestmark = pytest.mark.service


@pytest.fixture
def server(vsftpd):
    return vsftpd


@pytest.fixture(scope="module")
def other_server():
    running = Pyftpdlib().make().start()
    yield running
    running.remove()


@pytest.fixture
def root(server):
    return f"{server.home}/{uuid.uuid4().hex}/target"


@pytest.fixture
def storage(server):
    return FtpStorage(server.place())


def storage_at(**place):
    return FtpStorage(FtpPlace(**place))


class TestFtpStorage(StorageContract):
    @pytest.fixture
    def storage(self, server):
        return FtpStorage(server.place())

    @pytest.fixture
    def root(self, server):
        return f"{server.home}/{uuid.uuid4().hex}/target"

    @pytest.fixture
    def temporary(self, root):
        return f"{root}-tmp"

    def elsewhere(self, storage):
        return FtpStorage(replace(storage._server.place, trusted="unused"))


class TestOfListingsForMachines(TestFtpStorage):
    """A server with MLSD, whose paths begin at its own top."""

    @pytest.fixture
    def storage(self, other_server):
        return FtpStorage(other_server.place())

    @pytest.fixture
    def root(self):
        return f"/{uuid.uuid4().hex}/target"


class TestFaults(RenameFaults):
    module = "tests.storage.test_ftp"

    @pytest.fixture
    def arguments(self, server):
        return asdict(server.place())

    @pytest.fixture
    def full(self, server):
        running = Vsftpd(server.folder, server.port)
        server.stop()
        running.start(as_account_with_a_full_disk)
        yield FtpStorage(running.place(trusted="of another connection"))
        running.stop()
        server.start()


# ------------------------------------------------------------------------------------------------------ connections


@pytest.fixture(scope="module")
def implicit_server():
    running = Vsftpd(options="implicit_ssl=YES\n").make().start()
    yield running
    running.remove()


@pytest.mark.parametrize("passive", [True, False])
@pytest.mark.parametrize("tls", ["none", "explicit", "implicit"])
def test_transfers_go_either_way_plain_and_encrypted(vsftpd, implicit_server, passive, tls):
    """The server wants transfers to go on with the session of the connection."""
    server = implicit_server if tls == "implicit" else vsftpd
    trusted = "" if tls == "none" else str(server.folder / "cert.pem")
    storage = FtpStorage(server.place(passive=passive, tls=tls, trusted=trusted))
    root, content = f"{server.home}/{uuid.uuid4().hex}/target", bytes(range(256)) * 40_000
    item = staged(storage, root, content)
    storage.publish(root, CLAIM, "batch", 1, [item])
    assert visible(storage, root) == {"f"}
    with storage.open(f"{root}/f").stream() as stream:
        assert stream.read(1000) == content[:1000]
        stream.seek(-5, 2)
        assert stream.read() == content[-5:]
        stream.seek(1)
        assert stream.read() == content[1:]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"password": "n0t-that"}, Rejected, "the server says '530 .*; correct user or password"),
        ({"user": "root"}, Rejected, "the server says '530 .*; correct user or password"),
        ({"tls": "explicit"}, Rejected, "its certificate is not trusted .*by tls_trusted"),
        ({"tls": "explicit", "trusted": "/none"}, Rejected, "there is no file /none; correct tls_trusted"),
        ({"tls": "implicit"}, Unavailable, "see whether host, port and tls are right"),
        ({"host": "no-such-host.invalid"}, Rejected, "there is no such host; correct host"),
        ({"port": 1}, Unavailable, "see whether host, port and tls are right"),
    ],
)
def test_who_cannot_log_in_is_told_why_and_the_cure(server, root, change, error, text):
    storage = FtpStorage(replace(server.place(), **change))
    for use in (lambda: storage.stat(f"{root}/f"), lambda: storage.write(f"{root}/f", b"")):
        with pytest.raises(error, match=text) as told:
            use()
        assert str(told.value).startswith("cannot log in to ftp")
        assert PASSWORD not in str(told.value)
        assert "n0t-that" not in str(told.value)


def test_a_server_that_takes_no_tls_is_told(other_server):
    with pytest.raises(Rejected, match="cannot log in to ftps://127.0.0.1:.*the server says '50"):
        FtpStorage(other_server.place(tls="explicit")).stat("/")


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("-rw-r--r--    1 65534    65534         123 Nov 30 21:14 x y", ("-", 123, "x y")),
        ("-rw-r--r--+   1 Domain Users staff     123 Nov  3  2020  lead", ("-", 123, " lead")),
        ("drwxr-xr-x    2 ann ann  4096 Jan 01  2020 d", ("d", 4096, "d")),
        ("lrwxrwxrwx    1 0 0 5 Jan 01  2020 l -> d", ("l", 5, "l -> d")),
        ("drwxr-xr-x    2 ann ann  4096 Jan 01  2020 ..", None),
        ("srwxr-xr-x    2 ann ann  0 Jan 01  2020 socket", None),
        ("11-30-26  09:14PM       <DIR>          d e", ("d", 0, "d e")),
        ("11-30-2026  09:14PM              1234 f.csv", ("-", 1234, "f.csv")),
        ("total 8", None),
    ],
)
def test_listings_of_unix_and_windows_are_read(line, fields):
    assert _fields(line) == fields


def test_links_are_followed(server, storage, root):
    storage.write(f"{root}/there/f", b"rows")
    (server.home / root / "here").symlink_to(server.home / root / "there")
    (server.home / root / "nowhere").symlink_to("gone")
    assert sorted(visible(storage, root)) == ["here/f", "there/f"]


def test_a_relative_path_begins_where_the_user_logs_in(server, storage):
    folder = uuid.uuid4().hex
    storage.write(f"{folder}/f", b"rows")
    assert (server.home / folder / "f").read_bytes() == b"rows"
    assert [one.path for one in storage.files(folder)] == [f"{folder}/f"]


def test_places_show_no_secrets(server):
    assert PASSWORD not in repr(server.place())
