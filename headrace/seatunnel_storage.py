"""`checkpoint.storage` of a seatunnel.yaml as our settings, and a reason for each key that does nothing."""

from collections.abc import Mapping
from typing import Any

_READ = ("type", "max-retained")
_S3 = {
    "access.key": "checkpoint_access_key",
    "secret.key": "checkpoint_secret_key",
    "endpoint": "checkpoint_endpoint",
    "endpoint.region": "checkpoint_region",
    "path.style.access": "checkpoint_path_style",
}
_ELSEWHERE = {
    "aws.credentials.provider": "keys that are not given come from the environment or the machine's role",
    "connection.ssl.enabled": "the endpoint's http:// or https:// decides",
}
_NAMESPACE = "/seatunnel/checkpoint_snapshot"
"""Where SeaTunnel keeps checkpoints when its file does not say."""


def storage_settings(leaves: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Keys below `checkpoint.storage`, dotted: our settings by name, and key → reason for those without effect."""
    given = {key: value for key, value in leaves.items() if value is not None}
    config = {key.removeprefix("plugin-config."): str(given[key]) for key in given if key not in _READ}
    kind = str(given.get("type", "localfile")).lower()
    system = config.get("storage.type", "hdfs").lower() if kind == "hdfs" else kind
    if system == "s3":
        return _from_s3(config)
    reasons = {f"plugin-config.{key}": f"it is not for storage.type {system}" for key in config}
    default = config.get("fs.defaultFS", "file:///")
    if system not in ("localfile", "hdfs") or (system == "hdfs" and not default.startswith("file:")):
        where = default if system == "hdfs" else system
        reason = f"{where} is not reached; checkpoints are kept in the home unless checkpoint_store names a place"
        return {}, {"type": reason, **dict.fromkeys(reasons, reason)}
    for key in ("namespace", "storage.type", "fs.defaultFS"):
        reasons.pop(f"plugin-config.{key}", None)
    return ({"checkpoint_store": config["namespace"]} if config.get("namespace") else {}), reasons


def _from_s3(config: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    bucket = config.get("s3.bucket", "").partition("://")[2] or config.get("s3.bucket", "")
    prefix = config.get("namespace", _NAMESPACE).strip("/")
    values: dict[str, Any] = {"checkpoint_store": f"s3://{bucket.strip('/')}/{prefix}"}
    reasons: dict[str, str] = {}
    for key, value in config.items():
        name = key.removeprefix("fs.s3a.")
        if key.startswith("fs.s3a.") and name in _S3:
            values[_S3[name]] = value
        elif key not in ("s3.bucket", "namespace", "storage.type"):
            reasons[f"plugin-config.{key}"] = _ELSEWHERE.get(name, "it tunes Hadoop's client")
    return values, reasons
