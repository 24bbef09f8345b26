"""S3: the contract of storages on a real server, its errors, and what a broken line does."""

import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import replace

import pytest

from headrace.errors import Rejected, Unavailable, Undelivered
from headrace.storage.claims import Claim
from headrace.storage.s3 import S3Storage
from headrace.storage.s3_client import S3Place
from headrace.testing import StorageContract
from tests.checkpoint.s3 import KEY, SECRET, Gateway
from tests.storage.faulty import Fault, Proxy, answer, answer_lost, reset, short, slow

CLAIM = Claim("a1", 7, 1, 3, 1)


def place_at(endpoint):
    return S3Place("bucket", endpoint, "us-east-1", (KEY, SECRET), path_style=True)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    running = Gateway(tmp_path_factory.mktemp("s3")).start()
    yield running
    running.stop()


@pytest.fixture
def root():
    return f"/{uuid.uuid4().hex}/target"


@pytest.fixture
def storage(gateway):
    return S3Storage(place_at(gateway.endpoint))


@pytest.mark.service
class TestS3Storage(StorageContract):
    @pytest.fixture
    def storage(self, gateway):
        return S3Storage(place_at(gateway.endpoint))

    @pytest.fixture
    def root(self):
        return f"/{uuid.uuid4().hex}/target"

    @pytest.fixture
    def temporary(self, root):
        return f"{root}-tmp"

    def elsewhere(self, storage):
        return S3Storage(replace(storage._client.place, scheme="s3n"))

    def test_a_big_file_that_goes_on_is_joined_by_the_store(self, storage, root, temporary, claim):
        """Bytes before and behind, fewer and more than a part must have."""
        for number, (before, behind) in enumerate([(6 << 20, 3), (3, 12 << 20), (6 << 20, 6 << 20)]):
            name, first, second = f"f{number}", os.urandom(before), os.urandom(behind)
            storage.publish(root, claim, f"a{number}", 1, [self.staged(storage, root, temporary, claim, first, name)])
            file = storage.stage(f"{root}/{name}", root, temporary, claim, after=before)
            file.stream.write(second)
            staged = file.finish()
            for _ in range(2):
                self.elsewhere(storage).publish(root, claim, f"b{number}", 2, [staged])
                assert storage.open(f"{root}/{name}").content() == first + second
        storage.forget(storage.areas(root, temporary), claim, (4, 0))
        assert self.left(storage, root, temporary) == set()


@pytest.mark.service
def test_an_object_without_a_tag_is_known_by_its_time(gateway, storage, root):
    """As a gateway has what somebody has put into its directory."""
    folder = gateway.folder / "bucket" / root[1:]
    folder.mkdir(parents=True)
    (folder / "f").write_bytes(b"rows")
    os.utime(folder / "f", (1000, 1000))
    [listed] = storage.files(root)
    assert (listed, listed.version) == (storage.stat(f"{root}/f"), str(1000 * 10**9))
    assert storage.open(f"{root}/f").content() == storage.open(f"{root}/f", 4).content() == b"rows"
    with storage.open(f"{root}/f").stream() as stream:
        assert stream.read(1) == b"r"
        os.utime(folder / "f", (2000, 2000))
        stream.seek(3)
        with pytest.raises(Rejected, match="it was changed meanwhile; start the job anew"):
            stream.read()


# ------------------------------------------------------------------------------------------------------------- faults


@pytest.fixture
def proxy(gateway):
    running = Proxy(gateway.port).start()
    yield running
    running.stop()


def staged(storage, root, content, name="f"):
    file = storage.stage(f"{root}/{name}", root, f"{root}-tmp", CLAIM)
    file.stream.write(content)
    return file.finish()


def visible(storage, root):
    return {one.path.removeprefix(f"{root}/") for one in storage.files(root)}


BREAKS = [
    ("a part", r"PUT .*partNumber=2"),
    ("the beginning", r"POST .*uploads"),
    ("the note", r"PUT .*\.upload"),
    ("the completion", r"POST .*uploadId="),
    ("the mark", r"PUT .*\.published"),
]
KINDS = {
    "500": answer(500, "InternalError"),
    "503": answer(503, "SlowDown"),
    "reset": reset,
    "answer lost": answer_lost,
    "slow": slow,
}


@pytest.mark.service
@pytest.mark.parametrize("kind", KINDS)
def test_what_breaks_while_files_are_written_is_tried_again(gateway, proxy, root, kind, caplog):
    """Nothing is visible before it is whole, whatever breaks; it is told how often it was tried."""
    storage, content = S3Storage(place_at(proxy.endpoint)), os.urandom((8 << 20) + 5)
    proxy.faults = [Fault(wanted, KINDS[kind]) for _, wanted in BREAKS]
    item = staged(storage, root, content)
    assert visible(storage, root) == set()
    storage.publish(root, CLAIM, "batch", 1, [item])
    assert S3Storage(place_at(gateway.endpoint)).open(f"{root}/f").content() == content
    assert [fault.wanted for fault in proxy.faults if fault.times] == []
    assert kind == "slow" or "more tries" in caplog.text


@pytest.mark.service
@pytest.mark.parametrize("kind", [*KINDS, "short"])
def test_what_breaks_while_files_are_read_is_tried_again(gateway, proxy, root, kind):
    content = os.urandom(9 << 20)
    S3Storage(place_at(gateway.endpoint)).write(f"{root}/f", content)
    proxy.faults = [Fault(r"GET .*/f$", {**KINDS, "short": short}[kind], times=2)]
    assert S3Storage(place_at(proxy.endpoint)).open(f"{root}/f").content() == content
    assert proxy.faults[0].times == 0


@pytest.mark.service
def test_a_store_that_stays_away_is_unavailable(proxy, root):
    proxy.faults = [Fault("", answer(503, "SlowDown"), times=1000)]
    with pytest.raises(Unavailable, match=f"cannot read s3a://bucket{root}"):
        S3Storage(place_at(proxy.endpoint)).stat(root)


@pytest.mark.service
def test_an_object_that_changes_while_it_is_read_is_refused(storage, root):
    storage.write(f"{root}/f", b"a" * (6 << 20))
    with storage.open(f"{root}/f").stream() as stream:
        assert stream.read(10) == b"a" * 10
        storage.write(f"{root}/f", b"b" * (6 << 20))
        with pytest.raises(Rejected, match=f"cannot read s3a://bucket{root}/f: "):
            stream.read()


@pytest.mark.service
def test_reads_that_follow_each_other_are_read_ahead(gateway, proxy, root):
    """The requests are fewer than the reads, each byte is asked for once, and a jump is one request."""
    content = os.urandom(20 << 20)
    S3Storage(place_at(gateway.endpoint)).write(f"{root}/f", content)
    opened = S3Storage(place_at(proxy.endpoint)).open(f"{root}/f", len(content))
    with opened.stream() as stream:
        assert b"".join(iter(lambda: stream.read(64 << 10), b"")) == content
    assert len([one for one in proxy.seen if one.startswith("GET")]) < 40
    proxy.seen.clear()
    with opened.stream() as stream:
        stream.seek(-8, 2)
        assert stream.read(8) == content[-8:]
    assert len(proxy.seen) == 1


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.service
@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (
            {"bucket": "other"},
            Rejected,
            "there is no bucket 'other' at http.*; create it, or correct bucket",
        ),
        ({"keys": ("AKIDNOBODY", SECRET)}, Rejected, "does not know the key AKIDNOBODY; correct access_key"),
        ({"keys": (KEY, "wrong")}, Rejected, f"the secret does not belong to the key {KEY}; correct secret_key"),
        ({"endpoint": "http://no-such-host.invalid:1"}, Rejected, "there is no host of .*; correct fs.s3a.endpoint"),
        ({"endpoint": "http://127.0.0.1:1"}, Unavailable, "cannot connect to http://127.0.0.1:1"),
    ],
)
def test_a_wrong_option_is_told_with_its_cure(gateway, root, change, error, text):
    storage = S3Storage(replace(place_at(gateway.endpoint), **change))
    for use in (lambda: storage.stat(f"{root}/f"), lambda: storage.write(f"{root}/f", b"")):
        with pytest.raises(error, match=text) as told:
            use()
        assert "wrong" not in str(told.value)


@pytest.mark.service
@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (400, "ExpiredToken", "the keys have expired .*; renew access_key, secret_key"),
        (403, "AccessDenied", f"the key {KEY} may not do that .*; give it s3:"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong: it says .* UTC; set it"),
        (400, "AuthorizationHeaderMalformed", "the bucket is in another region .*set fs.s3a.endpoint.region"),
    ],
)
def test_what_the_store_refuses_is_told_with_its_cure(proxy, root, status, code, text):
    """Also where the answer has no text, as answers to HEAD do."""
    storage = S3Storage(place_at(proxy.endpoint))
    for use in (lambda: storage.stat(f"{root}/f"), lambda: staged(storage, root, b"rows")):
        proxy.faults = [Fault("", answer(status, code), times=1000)]
        with pytest.raises(Rejected, match=text):
            use()


# -------------------------------------------------------------------------------------------------------------- kills


WRITER = """
import json, os, signal, sys
from headrace.storage.claims import Claim
from headrace.storage.s3 import S3Storage
from tests.storage.test_s3 import CLAIM, place_at

endpoint, root, at = sys.argv[1:]
storage = S3Storage(place_at(endpoint))
file = storage.stage(f"{root}/f", root, f"{root}-tmp", CLAIM)
file.stream.write(b"x" * (9 << 20))
if at == "upload":
    file._tags[0].result()
    os.kill(os.getpid(), signal.SIGKILL)
print(json.dumps(file.finish()), flush=True)
if at == "mark":
    storage._put = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
if at != "publish":
    storage.publish(root, CLAIM, "batch", 1, [json.loads(json.dumps(file._staged))])
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(gateway, root, at):
    command = [sys.executable, "-c", WRITER, gateway.endpoint, root, at]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    return json.loads(ended.stdout) if ended.stdout else None


@pytest.mark.service
def test_a_writer_that_is_killed_leaves_nothing_visible_and_its_owner_removes_it(gateway, storage, root):
    assert killed(gateway, root, "upload") is None
    assert visible(storage, root) == set()
    (left,) = storage.left([f"{root}-tmp/.headrace-staging"])
    assert (left.claim, left.size >= 8 << 20) == (CLAIM, True)
    storage.remove([f"{root}-tmp/.headrace-staging"], lambda claim: claim == CLAIM)
    uploads = storage._client._call("list_multipart_uploads", "", {"Prefix": root[1:]})
    assert (list(storage.left([f"{root}-tmp/.headrace-staging"])), uploads.get("Uploads", [])) == ([], [])


@pytest.mark.service
@pytest.mark.parametrize("at", ["publish", "mark", "end"])
def test_a_publication_is_repeated_wherever_it_was_killed(gateway, storage, root, at):
    item = killed(gateway, root, at)
    for _ in range(2):
        storage.publish(root, CLAIM, "batch", 1, [item])
        assert storage.open(f"{root}/f").content() == b"x" * (9 << 20)
    assert visible(storage, root) == {"f"}


@pytest.mark.service
def test_another_object_of_the_name_does_not_stand_for_the_one_that_is_lost(storage, root):
    item = staged(storage, root, b"rows")
    storage.drop([item])
    storage.write(f"{root}/f", b"else")
    with pytest.raises(Undelivered, match=f"staged for s3a://bucket{root}/f are lost"):
        storage.publish(root, CLAIM, "batch", 1, [item])
