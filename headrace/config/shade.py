"""Config encryption."""

import base64
from collections.abc import Mapping
from typing import Any


def encrypt_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same job with its secrets encoded."""
    found = dict(config)
    if (config.get("env") or {}).get("shade.identifier") == "base64":
        for kind in ("source", "sink"):
            found[kind] = [
                {
                    k: base64.b64encode(v.encode()).decode() if k in ("username", "password", "auth", "token") else v
                    for k, v in plugin.items()
                }
                for plugin in config[kind]
            ]
    return found
