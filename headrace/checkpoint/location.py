"""Which store a setting names: a directory, or a bucket of an object store."""

from collections.abc import Mapping
from pathlib import Path

from headrace.checkpoint.blobs import Blobs, FileBlobs
from headrace.checkpoint.object_store import ObjectBlobs
from headrace.checkpoint.store import BlobStore
from headrace.errors import ConfigError, Problem

SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")


def open_store(place: str | None, default: Path, options: Mapping[str, str | None]) -> BlobStore:
    """The store at `place`: a path, `file:///path`, `s3://bucket/prefix`, `gs://…` or `az://…`; `default` when None.

    options: endpoint, region, access_key, secret_key, and path_style (`false`: the bucket is part of the host's name).
    Raises ConfigError when the place or an option is wrong.
    """
    return BlobStore(_blobs(place, default, {name: value for name, value in options.items() if value}))


def _blobs(place: str | None, default: Path, options: Mapping[str, str]) -> Blobs:
    scheme, separator, rest = (place or "").partition("://")
    if not place or not separator or scheme == "file":
        folder = Path(rest if separator else place or default)
        return FileBlobs(folder.absolute())
    bucket = rest.partition("/")[0]
    if scheme not in SCHEMES or not bucket or "@" in bucket:
        cure = "name a directory, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
        raise ConfigError([Problem("checkpoint_store", f"{place!r} is not a place for checkpoints", cure)])
    if scheme in ("s3", "s3a"):
        return ObjectBlobs(f"s3://{rest}", _s3(bucket, options))
    if options:
        text = f"{', '.join(sorted(options))}: only for s3://; others take theirs from the environment"
        raise ConfigError([Problem("checkpoint_store", text)])
    return ObjectBlobs(place, {})


def _s3(bucket: str, options: Mapping[str, str]) -> dict[str, str]:
    names = {"region": "region", "access_key": "access_key_id", "secret_key": "secret_access_key"}
    found = {ours: options[name] for name, ours in names.items() if name in options}
    endpoint = options.get("endpoint", "").rstrip("/")
    if endpoint:
        secure, _, host = endpoint.rpartition("://")
        secure = secure or "https"
        virtual = options.get("path_style") == "false"
        found["endpoint"] = f"{secure}://{bucket}.{host}" if virtual else f"{secure}://{host}"
        found["virtual_hosted_style_request"] = str(virtual).lower()
        found.setdefault("region", "us-east-1")  # of no meaning there, but it is part of what is signed
    return found
