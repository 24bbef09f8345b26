"""What the members of a cluster derive from the secret that they share: one key for each purpose."""

import base64
import hashlib
from functools import cache

from headrace.jobs.seal import Seal

LEAST = 16
"""Characters of a secret."""


def member_token(secret: str) -> str:
    """What a member shows to another one."""
    return f"hrm_{_derived(secret, 'requests of members').hex()}"


def seal_of(secret: str) -> Seal:
    """What seals the texts of jobs, so that every member can read them."""
    key = base64.urlsafe_b64encode(_derived(secret, "texts of jobs"))
    return Seal(key, "the one that comes from this cluster_secret")


@cache
def _derived(secret: str, purpose: str) -> bytes:
    """A slow derivation: who has seen a token cannot try out secrets at speed. RFC 7914."""
    return hashlib.scrypt(secret.encode(), salt=f"headrace: {purpose}".encode(), n=2**14, r=8, p=1, dklen=32)
