"""Requests to S3 and to stores that speak its interface; what they refuse becomes an error with place and cure."""

import datetime
import importlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from headrace.errors import MissingExtra, Rejected, Unavailable
from headrace.reach import asking_for_own_keys, is_guarded, may_use_own_keys

LOG = logging.getLogger("headrace.plugin")

ATTEMPTS = 5
"""How often a request is made before the engine hears that the store cannot be used."""

_VERBS = {"get": "read", "head": "read", "list": "list", "delete": "remove", "abort": "remove"}

_ABSENT = ("404", "NoSuchKey", "NotFound")

_TIME = "time "
"""Begins the version of an object that has no tag, as one that was put into the directory behind a gateway."""

_PASSING = {"408", "409", "429", "RequestTimeout", "SlowDown", "OperationAborted", "ServiceUnavailable", "Throttling"}

_REGION = ("301", "AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException")


@dataclass(frozen=True)
class S3Place:
    """A bucket, and how to reach it.

    endpoint: the URL of the store; empty for that of Amazon's region. keys: access key, secret key and the token of
    keys that expire, which may be empty; None for what the environment or the machine's role gives; () for none at all.
    path_style: the bucket stands in the path, not in the host's name. scheme: what messages begin paths with. part:
    bytes of a part of an upload. named: what the job file calls bucket, endpoint, keys and region, for cures.
    """

    bucket: str
    endpoint: str
    region: str
    keys: tuple[str, ...] | None = field(default=None, repr=False)
    path_style: bool = False
    scheme: str = "s3a"
    part: int = 8 << 20
    named: tuple[str, str, str, str, str] = (
        *("bucket", "fs.s3a.endpoint", "access_key", "secret_key"),
        "fs.s3a.endpoint.region in hadoop_s3_properties",
    )


class S3Client:
    """The requests of one bucket, for all threads of a process."""

    def __init__(self, place: S3Place) -> None:
        self.place = place

    def url(self, key: str) -> str:
        """What messages call an object."""
        return f"{self.place.scheme}://{self.place.bucket}/{key}"

    def call(self, operation: str, key: str, **arguments: Any) -> Any:
        """The answer to a request about one object; None where there is none such, or no such upload."""
        return self._call(operation, key, {"Key": key, **arguments})

    def listed(self, prefix: str, **arguments: Any) -> Any:
        """One page of the objects whose keys begin so."""
        found = self._call("list_objects_v2", prefix, {"Prefix": prefix, **arguments})
        if found is None:
            raise Rejected(self._text("list", prefix, "the store does not know the request", "check the endpoint"))
        return found

    def all_listed(self, prefix: str) -> Iterator[Any]:
        """All objects whose keys begin so, page by page."""
        more: dict[str, str] = {}
        while True:
            page = self.listed(prefix, **more)
            yield from page.get("Contents", ())
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def fetch(self, key: str, start: int, end: int, version: str = "") -> tuple[bytes, str]:
        """A range of an object, and its version. Raises Rejected where the object is gone or has another version."""
        tagged = version and not version.startswith(_TIME)
        span = {"Range": f"bytes={start}-{end - 1}", **({"IfMatch": version} if tagged else {})}
        why = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                LOG.warning("%s is read again from byte %d: %s", self.url(key), start, why)
                time.sleep(0.1 * 2**attempt)
            found = self.call("get_object", key, **span)
            if found is None:
                raise Rejected(self._text("read", key, "it is gone", "start the job anew"))
            try:
                with found["Body"] as body:
                    content = body.read()
            except (_errors().BotoCoreError, importlib.import_module("urllib3.exceptions").HTTPError) as error:
                why = str(error)
            except OSError as error:
                why = error.strerror or str(error)
            else:
                now = found.get("ETag") or f"{_TIME}{found['LastModified']}"
                if version and not tagged and version != now:
                    raise Rejected(self._text("read", key, "it was changed meanwhile", "start the job anew"))
                if len(content) == end - start:
                    return content, now
                why = f"{len(content)} bytes came instead of {end - start}"
        raise Unavailable(self._text("read", key, why, ""))

    def _call(self, operation: str, key: str, arguments: dict[str, Any]) -> Any:
        errors = _errors()
        try:
            found = getattr(_client_of(self.place), operation)(Bucket=self.place.bucket, **arguments)
        except errors.ClientError as error:
            return self._refused(operation, key, error)
        except errors.BotoCoreError as error:
            raise self._failed(_VERBS.get(operation.partition("_")[0], "write"), key, error) from None
        except RecursionError:  # botocore follows a store that sends it on and on
            verb, where = _VERBS.get(operation.partition("_")[0], "write"), self.place.endpoint or "Amazon S3"
            cure = f"check {self.place.named[1]}"
            raise Rejected(self._text(verb, key, f"{where} redirects without end", cure)) from None
        again = found["ResponseMetadata"].get("RetryAttempts", 0)
        if again:
            LOG.warning("%s: the store answered %s after %d more tries", self.url(key), operation, again)
        return found

    def _refused(self, operation: str, key: str, error: Any) -> None:
        """Raise what an answer of the store means; nothing where it says that there is no such thing."""
        told, http = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        code, status = str(told.get("Code", "")), http.get("HTTPStatusCode", 0)
        if code == "NoSuchUpload" or (code in _ABSENT and operation != "list_objects_v2"):
            return
        if operation == "head_object" and code.isdecimal() and code not in _PASSING and status < 500:
            self.listed(key, MaxKeys=1)  # an answer to HEAD has no text; one to this says what is wrong
        verb = _VERBS.get(operation.partition("_")[0], "write")
        again = status >= 500 or {code, str(status)} & _PASSING
        why, cure = self._why(code, str(told.get("Message") or "").rstrip("."), operation, told, http)
        raise (Unavailable if again else Rejected)(self._text(verb, key, why, cure)) from None

    def _why(self, code: str, message: str, operation: str, told: Any, http: Any) -> tuple[str, str]:
        bucket, endpoint, access, secret, region = self.place.named
        where = self.place.endpoint or "Amazon S3"
        key = self.place.keys[0] if self.place.keys else "of this machine"
        said = f"{code}: {message}" if message else code
        if code == "NoSuchBucket":
            return (
                f"there is no bucket {self.place.bucket!r} at {where}",
                f"create it, or correct {bucket} or {endpoint}",
            )
        if code in ("InvalidAccessKeyId", "InvalidAccessKey", "XAdminUserNotFound"):
            return f"{where} does not know the key {key}", f"correct {access}"
        if code == "SignatureDoesNotMatch":
            return f"the secret does not belong to the key {key}", f"correct {secret}"
        if code in ("ExpiredToken", "InvalidToken", "TokenRefreshRequired"):
            return f"the keys have expired ({said})", f"renew {access}, {secret} and the session token"
        if code == "RequestTimeTooSkewed":
            return f"this machine's clock is wrong: {_clocks(http)}", "set it"
        if code in _REGION:
            right = told.get("Region") or http.get("HTTPHeaders", {}).get("x-amz-bucket-region", "")
            named = f" {right!r}" if right else ""
            cure = f"set {region}"
            return f"the bucket is in another region{named} than {self.place.region!r}", cure
        if code == "400":  # an answer without a text, where one with a text was right
            return f"{where} takes the request for a bad one ({said})", f"see whether {region} is right"
        if code in ("AccessDenied", "AllAccessDisabled", "403"):
            action = "ListBucket" if operation.startswith("list") else _ACTIONS.get(operation, operation)
            return f"the key {key} may not do that ({said})", f"give it s3:{action} on the bucket {self.place.bucket!r}"
        return said, ""

    def _failed(self, verb: str, key: str, error: Any) -> Exception:
        """What it means that there was no answer."""
        errors, (bucket, endpoint, access, secret, _) = _errors(), self.place.named
        where, why = self.place.endpoint or "Amazon S3", str(error).rstrip(".")
        if isinstance(error, (errors.NoCredentialsError, errors.PartialCredentialsError)):
            return Rejected(self._text(verb, key, "no keys were found", f"set {access} and {secret}"))
        if isinstance(error, errors.ParamValidationError):
            return Rejected(self._text(verb, key, " ".join(why.split()), f"correct {bucket}"))
        if isinstance(error, errors.SSLError) and "CERTIFICATE" in why.upper():
            return Rejected(self._text(verb, key, f"the certificate of {where} is not trusted ({why})", ""))
        if isinstance(error, errors.EndpointConnectionError):
            if "Name or service not known" in str(error.kwargs.get("error", "")):
                return Rejected(self._text(verb, key, f"there is no host of {where}", f"correct {endpoint}"))
            return Unavailable(self._text(verb, key, f"cannot connect to {where}", f"see whether {endpoint} is right"))
        return Unavailable(self._text(verb, key, why, ""))

    def _text(self, verb: str, key: str, why: str, cure: str) -> str:
        return f"cannot {verb} {self.url(key)}: {why}" + (f"; {cure}" if cure else "")


_ACTIONS = {
    "head_object": "GetObject",
    "get_object": "GetObject",
    "put_object": "PutObject",
    "create_multipart_upload": "PutObject",
    "upload_part": "PutObject",
    "upload_part_copy": "GetObject and s3:PutObject",
    "complete_multipart_upload": "PutObject",
    "abort_multipart_upload": "AbortMultipartUpload",
    "delete_object": "DeleteObject",
}


def _clocks(http: Any) -> str:
    here = datetime.datetime.now(datetime.UTC).strftime("%H:%M:%S")
    there = http.get("HTTPHeaders", {}).get("date", "")
    return f"it says {here} UTC, the store {there}" if there else f"it says {here} UTC"


def _errors() -> Any:
    try:
        import botocore.exceptions
    except ImportError as error:
        msg = "needs the Python package 'botocore': pip install 'headrace[s3]'"
        raise MissingExtra(msg) from error
    return botocore.exceptions


KEEP_SECONDS = 300
"""How long the keys of the machine are used before it is asked again: clouds tell new ones so long before the end."""


class _OwnKeys:
    """The keys that the environment, the files or the role of this machine give, as botocore finds them.

    They are asked for anew now and then: the address where a cloud tells them is open to the guard of a server's jobs
    while they are asked for, and at no other time.
    """

    METHOD = CANONICAL_NAME = "headrace-own-keys"

    @classmethod
    def come_first(cls, session: Any) -> None:
        """Have a session ask this provider alone."""
        session.get_component("credential_provider").providers[:] = [cls()]

    def load(self) -> Any:
        """Called by botocore; None where the machine gives no keys."""
        credentials = importlib.import_module("botocore.credentials")
        found = self._found()
        if found is None:
            return None
        made: Any = credentials.RefreshableCredentials
        return made.create_from_metadata(found, self._found, self.METHOD, advisory_timeout=60, mandatory_timeout=30)

    def _found(self) -> dict[str, str] | None:
        from botocore import session

        if not may_use_own_keys():
            return None
        with asking_for_own_keys():
            found = session.get_session().get_credentials()
            if found is None:
                return None
            keys = found.get_frozen_credentials()
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=KEEP_SECONDS)
        return {
            "access_key": keys.access_key,
            "secret_key": keys.secret_key,
            "token": keys.token,
            "expiry_time": end.isoformat(),
        }


def _client_of(place: S3Place) -> Any:
    with _MAKING:
        return _client(place)


_MAKING = threading.Lock()


@cache
def _client(place: S3Place) -> Any:
    """The library's client of a place; it costs a second to make, and serves all threads."""
    import botocore
    from botocore import config, session

    access, secret, token = (*(place.keys or ()), "", "", "")[:3]
    given = {"aws_access_key_id": access, "aws_secret_access_key": secret, "aws_session_token": token or None}
    signed = {} if place.keys != () else {"signature_version": botocore.UNSIGNED}
    made = session.get_session()
    if place.keys is None:
        _OwnKeys.come_first(made)
    return made.create_client(
        "s3",
        region_name=place.region,
        endpoint_url=place.endpoint or None,
        config=config.Config(
            connect_timeout=10,
            read_timeout=60,
            max_pool_connections=32,
            tcp_keepalive=True,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            s3={"addressing_style": "path" if place.path_style else "auto"},
            # What stores other than Amazon's do not know is not asked of them; parts carry their MD5.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # A proxy would reach for a job of a server what the guard of its sockets keeps from it.
            proxies={} if is_guarded() else None,
            **signed,
        ),
        **(given if place.keys else {}),
    )
