"""S3, and stores that speak its interface. A file is staged as a multipart upload, whose completion publishes it."""

import base64
import contextlib
import hashlib
import json
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from itertools import pairwise
from typing import Any, BinaryIO, NamedTuple

from headrace.errors import ConnectorError, Rejected, Undelivered
from headrace.storage.claims import Claim
from headrace.storage.contract import Left, Staged, StagedFile, Stat, Storage
from headrace.storage.opened import Opened
from headrace.storage.ranged import RangedFile, all_done, requests
from headrace.storage.s3_client import S3Client, S3Place
from headrace.storage.spool import Spool

STAGING = ".headrace-staging"
"""The folder of notes and marks, within tmp_path."""

_MARK, _NOTE, _BEGUN = ".published", ".upload", ".begun"

_TOKEN = "headrace-token"
"""The metadata of a published object that names the staged file it was."""

_LEAST_PART, _MOST_COPIED = 5 << 20, 1 << 30
"""Bytes that every part but the last must have, and that one request copies."""

_ON_THE_WAY = 4
"""Parts of a file that are uploaded at a time."""


class S3Storage(Storage):
    """Objects of one bucket. A path is a key with a `/` before it; a folder is there when something lies below it.

    A staged file is a multipart upload of the object it is to become. A note in tmp_path, named by the claim, tells of
    each upload before it holds bytes, so that its owner can remove it. What a writer has written lies in a temporary
    file of this machine, too, until the upload is complete: to be sent again, and to be read back.
    """

    def __init__(self, place: S3Place) -> None:
        self._client = S3Client(place)

    # ------------------------------------------------------------------------------------------------------- reading

    def stat(self, path: str) -> Stat | None:  # noqa: D102
        key = _key(path)
        found = self._client.call("head_object", key) if key else None
        if found is not None:
            return _stat(key, found["ContentLength"], found)
        page = self._client.listed(_below(key), MaxKeys=1)
        return Stat(path, 0, 0, "", is_folder=True) if page.get("Contents") or not key else None

    def files(
        self,
        folder: str,
        enters: Callable[[str], bool] = lambda name: True,
        wants: Callable[[str], bool] = lambda path: True,
    ) -> Iterator[Stat]:
        """All keys below the folder in one go, a thousand a request; what lies in folders that are not entered is
        skipped, by asking for what follows them."""
        prefix, more = _below(_key(folder)), dict[str, str]()
        while True:
            page = self._client.listed(prefix, **more)
            refused = ""
            for one in page.get("Contents", ()):
                *folders, name = one["Key"][len(prefix) :].split("/")
                at = next((i for i, part in enumerate(folders) if not enters(part)), None)
                refused = prefix + "/".join(folders[: at + 1]) + "/" if at is not None else ""
                if at is None and name and wants(f"/{one['Key']}"):
                    yield _stat(one["Key"], one["Size"], one)
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}
            if refused:
                more = {"StartAfter": refused + "\U0010ffff"}

    def entries(self, folder: str) -> Iterator[Stat]:  # noqa: D102
        prefix, more = _below(_key(folder)), dict[str, str]()
        found: list[Stat] = []
        while True:
            page = self._client.listed(prefix, Delimiter="/", **more)
            found += [Stat(f"/{one['Prefix']}".rstrip("/"), 0, 0, "", True) for one in page.get("CommonPrefixes", ())]
            files = (one for one in page.get("Contents", ()) if not one["Key"].endswith("/"))
            found += [_stat(one["Key"], one["Size"], one) for one in files]
            if not page.get("IsTruncated"):
                break
            more = {"ContinuationToken": page["NextContinuationToken"]}
        yield from sorted(found, key=lambda one: one.path)

    def open(self, path: str, size: int | None = None) -> Opened:  # noqa: D102
        key, version = _key(path), ""
        if size is None:
            found = self._client.call("head_object", key)
            if found is None:
                raise Rejected(f"cannot read {self._client.url(key)}: there is no such object; correct `path`")
            size, version = found["ContentLength"], found.get("ETag", "")
        return _Object(self._client, key, size, version)

    # ------------------------------------------------------------------------------------------------------- writing

    def write(self, path: str, content: bytes) -> None:  # noqa: D102
        self._put(_key(path), content)

    def delete(self, path: str) -> None:  # noqa: D102
        key = _key(path)
        below = (one["Key"] for one in self._client.all_listed(_below(key)))
        if key:
            self._delete([key])
        while some := [one for one, _ in zip(below, range(1000), strict=False)]:
            self._delete(some)

    def make_folder(self, path: str) -> None:
        """There are none."""

    def _put(self, key: str, content: bytes, **more: Any) -> None:
        self._client.call("put_object", key, Body=content, ContentMD5=_md5(content), **more)

    def _delete(self, keys: Iterable[str]) -> None:
        """One by one: not all stores take the digest that a request for many must carry."""
        all_done(requests().submit(self._client.call, "delete_object", key) for key in keys)

    # ------------------------------------------------------------------------------------------------------- staging

    def areas(self, targets: str, temporary: str) -> Sequence[str]:
        """One, in tmp_path, whatever the target."""
        return [_area(temporary)]

    def stage(self, final: str, target: str, temporary: str, claim: Claim, after: int = 0) -> StagedFile:
        """A file that goes on is staged as a hidden object, and joined to the one that is there by the store."""
        folder, token = f"{_key(_area(temporary))}/{claim.name}", secrets.token_hex(10)
        hidden = f"{folder}/{token}"
        upload = _Upload(self._client, hidden if after else _key(final), token, f"{hidden}{_NOTE}")
        return _S3StagedFile(self, upload, {"final": final, "folder": folder, "after": after, "token": token})

    def publish(  # noqa: D102
        self, target: str, claim: Claim, batch: str, checkpoint: int, staged: Sequence[Staged]
    ) -> None:
        mark = f"{staged[0]['folder'].rpartition('/')[0]}/{claim.name}/{checkpoint}-{batch}{_MARK}"
        if self._client.call("head_object", mark) is None:
            all_done(requests().submit(self._show, item) for item in staged)
            self._put(mark, b"")
        self._delete(name for item in staged for name in _notes(item))

    def _show(self, item: Mapping[str, Any]) -> None:
        """Make one file visible, unless it is."""
        key = _key(item["final"])
        if item["after"]:
            self._join(key, item)
            return
        _Upload(self._client, key, upload=item["upload"]).complete(item["parts"])
        if not self._is_shown(key, item):  # some stores say yes to an upload that is gone where an object has its name
            raise Undelivered(self._lost(key, "its upload is gone, and was not completed"))

    def _is_shown(self, key: str, item: Mapping[str, Any]) -> bool:
        found = self._client.call("head_object", key)
        return found is not None and found["Metadata"].get(_TOKEN) == item["token"]

    def _lost(self, key: str, why: str) -> str:
        return (
            f"the rows that a checkpoint holds as staged for {self._client.url(key)} are lost: {why}. Look for a rule "
            "of the bucket that ends uploads by their age; then start the job anew under a new job id"
        )

    def _join(self, key: str, item: Mapping[str, Any]) -> None:
        """Put what is staged behind the first bytes of the object that is there; repeating it changes nothing."""
        if self._is_shown(key, item):
            return
        there, after = self._client.call("head_object", key), item["after"]
        if there is None or there["ContentLength"] < after:
            raise Undelivered(
                f"{self._client.url(key)} must hold {after} bytes of the checkpoints before, and does not; put it "
                "back, or start the job anew under a new job id"
            )
        hidden = f"{item['folder']}/{item['token']}"
        if self._client.call("head_object", hidden) is None:
            raise Undelivered(self._lost(key, f"{self._client.url(hidden)} is gone, and was not published"))
        begun = f"{hidden}{_BEGUN}"
        if (note := self._note(begun)) is not None:  # somebody has begun to, and was stopped
            self._end(note["key"], note["upload"])
        upload = _Upload(self._client, key, item["token"], begun)
        upload.begin()
        taken = 0
        if after < _LEAST_PART:
            taken = min(item["size"], _LEAST_PART)
            head = self._client.fetch(key, 0, after, there.get("ETag", ""))[0]
            upload.put(head + (self._client.fetch(hidden, 0, taken)[0] if taken else b""))
        else:
            upload.copy(key, 0, after, there.get("ETag", ""))
        upload.copy(hidden, taken, item["size"])
        upload.complete(upload.parts)
        if not self._is_shown(key, item):
            raise Undelivered(self._lost(key, "its upload was ended from elsewhere"))

    def drop(self, staged: Sequence[Staged]) -> None:
        """What cannot be removed now is found again by its note."""
        for item in staged:
            with contextlib.suppress(ConnectorError):
                self._end(item["key"], item["upload"])
                self._delete(_notes(item))

    def _end(self, key: str, upload: str) -> None:
        self._client.call("abort_multipart_upload", key, UploadId=upload)

    def forget(self, areas: Iterable[str], claim: Claim, before: tuple[int, int]) -> None:  # noqa: D102
        old = []
        for one in self._claimed(areas):
            same = one.owner.is_of_job(claim) and one.owner.pipeline == claim.pipeline
            if one.name.endswith(_MARK) and same and (one.owner.epoch, int(one.name.partition("-")[0])) < before:
                old.append(one.key)
        self._delete(old)

    def remove(  # noqa: D102
        self, areas: Iterable[str], gone: Callable[[Claim], bool], *, marks: bool = True
    ) -> None:
        over = [one for one in self._claimed(areas) if gone(one.owner)]
        for one in over:
            if one.is_note and (note := self._note(one.key)):
                self._end(note["key"], note["upload"])
        self._delete(one.key for one in over if marks or not one.name.endswith(_MARK))

    def left(self, areas: Iterable[str]) -> Iterator[Left]:  # noqa: D102
        found: dict[Claim, list[_Claimed]] = {}
        for one in self._claimed(areas):
            found.setdefault(one.owner, []).append(one)
        for owner, things in found.items():
            size = sum(self._uploaded(one.key) if one.is_note else one.size for one in things)
            place = self._client.url(things[0].key.rpartition("/")[0])
            yield Left(owner, place, max(one.modified for one in things), size, len(things))

    def _claimed(self, areas: Iterable[str]) -> "Iterator[_Claimed]":
        """The objects in these areas that are somebody's."""
        for area in areas:
            for one in self._client.all_listed(_below(_key(area))):
                folder, _, name = one["Key"].rpartition("/")
                if (owner := Claim.read(folder.rpartition("/")[2])) is not None:
                    yield _Claimed(one["Key"], name, owner, one["Size"], one["LastModified"].timestamp())

    def _note(self, key: str) -> Mapping[str, str] | None:
        """The upload that a note tells of; None where the note is gone."""
        found = self._client.call("get_object", key)
        return None if found is None else json.loads(found["Body"].read())

    def _uploaded(self, key: str) -> int:
        """The bytes so far of the upload that a note tells of."""
        size, more, note = 0, dict[str, int](), self._note(key)
        while note is not None:
            page = self._client.call("list_parts", note["key"], UploadId=note["upload"], **more)
            size += sum(part["Size"] for part in page.get("Parts", ())) if page else 0
            if not page or not page.get("IsTruncated"):
                break
            more = {"PartNumberMarker": page["NextPartNumberMarker"]}
        return size


class _Claimed(NamedTuple):
    key: str
    name: str
    owner: Claim
    size: int
    modified: float

    @property
    def is_note(self) -> bool:
        """Whether it tells of an upload."""
        return self.name.endswith((_NOTE, _BEGUN))


class _Object(RangedFile):
    """An object, of which all ranges are of one version."""

    def __init__(self, client: S3Client, key: str, size: int, version: str) -> None:
        super().__init__(client.url(key), size, self._range)
        self._client, self._key, self._version = client, key, version

    def _range(self, start: int, end: int) -> bytes:
        content, self._version = self._client.fetch(self._key, start, end, self._version)
        return content


class _Upload:
    """A multipart upload. Its note is there before it holds bytes."""

    def __init__(self, client: S3Client, key: str, token: str = "", note: str = "", upload: str = "") -> None:
        self.key, self.id, self.parts = key, upload, list[str]()
        self._client, self._token, self._note = client, token, note

    def begin(self) -> None:
        answer = self._client.call("create_multipart_upload", self.key, Metadata={_TOKEN: self._token})
        self.id = answer["UploadId"]
        note = json.dumps({"key": self.key, "upload": self.id}).encode()
        self._client.call("put_object", self._note, Body=note, ContentMD5=_md5(note))

    def part(self, number: int, content: bytes) -> str:
        """Upload a part; gives its tag."""
        found = self._client.call(
            "upload_part", self.key, UploadId=self.id, PartNumber=number, Body=content, ContentMD5=_md5(content)
        )
        return str(self._there(found)["ETag"])

    def put(self, content: bytes) -> None:
        """The next part."""
        self.parts.append(self.part(len(self.parts) + 1, content))

    def copy(self, key: str, start: int, end: int, version: str = "") -> None:
        """The next parts, by the store, of a range of an object; all but the last upload of a range are large."""
        pieces = max(-(-(end - start) // _MOST_COPIED), 1)
        places = [start + (end - start) * number // pieces for number in range(pieces + 1)]
        source = {"Bucket": self._client.place.bucket, "Key": key}
        for first, last in pairwise(places):
            if first < last:
                found = self._client.call(
                    "upload_part_copy",
                    self.key,
                    UploadId=self.id,
                    PartNumber=len(self.parts) + 1,
                    CopySource=source,
                    CopySourceRange=f"bytes={first}-{last - 1}",
                    **({"CopySourceIfMatch": version} if version else {}),
                )
                self.parts.append(self._there(found)["CopyPartResult"]["ETag"])

    def complete(self, tags: Sequence[str]) -> None:
        """The object is there, whole; nothing where there is no such upload."""
        upload = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]}
        self._client.call("complete_multipart_upload", self.key, UploadId=self.id, MultipartUpload=upload)

    def end(self) -> None:
        """Nothing of it stays."""
        self._client.call("abort_multipart_upload", self.key, UploadId=self.id)
        self._client.call("delete_object", self._note)

    def _there(self, answer: Any) -> Any:
        if answer is None:
            raise Rejected(f"cannot write {self._client.url(self.key)}: its upload was ended from elsewhere")
        return answer


class _S3StagedFile(StagedFile):
    """Parts are uploaded while the next ones are written."""

    def __init__(self, storage: S3Storage, upload: _Upload, told: Mapping[str, Any]) -> None:
        self._storage, self._upload, self._told = storage, upload, told
        self._spool = Spool(self._written)
        self._begun = requests().submit(upload.begin)
        self._sent, self._tags = 0, deque[Future[str]]()
        self._staged: dict[str, Any] | None = None
        self.stream: BinaryIO = self._spool.stream

    def _written(self, size: int) -> None:
        """Send what makes a part; waits while too much is on its way."""
        while size - self._sent >= self._part:
            self._spool.flush()
            self._send(self._part)

    @property
    def _part(self) -> int:
        """Bytes of the next part; they grow, since an upload has 10,000 at most."""
        return self._storage._client.place.part << (len(self._tags) // 2000)

    def _send(self, size: int) -> None:
        if len(self._tags) >= _ON_THE_WAY:
            self._tags[-_ON_THE_WAY].result()
        self._tags.append(requests().submit(self._sending, len(self._tags) + 1, self._sent, size))
        self._sent += size

    def _sending(self, number: int, start: int, size: int) -> str:
        self._begun.result()  # its turn came before this one's
        return self._upload.part(number, self._spool.part(start, size))

    def finish(self) -> Staged:
        try:
            return self._finished()
        except BaseException:
            self.drop()
            raise

    def _finished(self) -> Staged:
        self._spool.flush()
        size = self._spool.tell()
        if size > self._sent or not self._tags:
            self._send(size - self._sent)
        tags = [tag.result() for tag in self._tags]
        if self._told["after"]:
            self._upload.complete(tags)
        self._spool.close()
        self._staged = {**self._told, "key": self._upload.key, "upload": self._upload.id, "parts": tags, "size": size}
        return self._staged

    def opened(self) -> Opened:
        return self._spool.opened(self._told["final"])

    def drop(self) -> None:
        if self._staged is not None:
            self._storage.drop([self._staged])
        elif not self._spool.closed:
            wait([tag for tag in self._tags if not tag.cancel()])
            self._spool.close()
            with contextlib.suppress(Exception):
                self._begun.result()
                self._upload.end()


def _notes(item: Mapping[str, Any]) -> list[str]:
    """What tells of a staged file, and what it was staged as."""
    hidden = f"{item['folder']}/{item['token']}"
    return [f"{hidden}{_NOTE}", *([f"{hidden}{_BEGUN}", hidden] if item["after"] else [])]


def _area(temporary: str) -> str:
    return f"{temporary.rstrip('/')}/{STAGING}"


def _key(path: str) -> str:
    return path.removeprefix("/")


def _below(key: str) -> str:
    return f"{key.rstrip('/')}/" if key else ""


def _stat(key: str, size: int, found: Mapping[str, Any]) -> Stat:
    """Times in whole seconds, as every answer has them. A gateway over a directory may know no tag of what others put
    there: its time stands for that."""
    modified = int(found["LastModified"].timestamp()) * 1_000_000_000
    return Stat(f"/{key}", size, modified, found.get("ETag") or str(modified), created=modified)


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
