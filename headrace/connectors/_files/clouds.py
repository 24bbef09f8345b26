"""Buckets of clouds whose stores speak S3's interface beside their own: what their options have in common."""

import re
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr

from headrace.connectors._files.buckets import bucket_name, endpoint_url, is_address
from headrace.connectors._files.servers import PlacedOptions
from headrace.options import HOST
from headrace.storage.s3_client import S3Place


class CloudOptions(PlacedOptions):
    """Which bucket, and who reads and writes there."""

    schemes: ClassVar[Sequence[str]]
    """What stands before a bucket's name."""
    region_option: ClassVar[str] = "endpoint"
    """What tells the region."""

    bucket: str = Field(default="", description="Required: the bucket, its scheme before it.")

    def keys(self) -> dict[str, str]:
        """The names of the options that hold the key and its secret → their values."""
        raise NotImplementedError

    def address(self) -> tuple[str, str, str]:
        """The endpoint, the option that names it, and the region. Raises ValueError."""
        raise NotImplementedError

    def place(self) -> S3Place:
        """The bucket, and how to reach it. Raises ValueError."""
        endpoint, told, region = self.address()
        (key_option, key), (secret_option, secret) = self.keys().items()
        given = {"bucket": self.bucket, told: endpoint, key_option: key, secret_option: secret}
        if missing := [name for name, value in given.items() if not value]:
            raise ValueError("; ".join(f"{name}: required option is missing" for name in missing))
        name, scheme = bucket_name(self.bucket, self.schemes)
        url = endpoint_url(endpoint)
        named = ("bucket", told, key_option, secret_option, self.region_option)
        return S3Place(name, url, region, (key, secret, ""), is_address(url), scheme, named=named)


class EndpointOptions(CloudOptions):
    """Of a store that is reached at an endpoint, by a key and its secret."""

    region_of: ClassVar[str]
    """A pattern of the endpoint's host, whose group is the region."""

    endpoint: str = Field(default="", json_schema_extra=HOST, description="Required: the store's host or URL.")
    access_key: str = Field(default="", description="Required: the access key.")
    access_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("access_secret", "security_key"),
        description="Required: its secret.",
    )

    def keys(self) -> dict[str, str]:
        """See CloudOptions.keys."""
        return {"access_key": self.access_key, "access_secret": self.access_secret.get_secret_value()}

    def address(self) -> tuple[str, str, str]:
        """See CloudOptions.address."""
        host = urlsplit(endpoint_url(self.endpoint)).hostname or "" if self.endpoint else ""
        found = re.search(self.region_of, host)
        return self.endpoint, "endpoint", found[1] if found else "us-east-1"
