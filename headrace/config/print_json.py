"""A job's blocks as JSON text in SeaTunnel's shape; reading the text gives the same job."""

import json
from typing import Any

from headrace.config.blocks import KINDS, Block, Named, Plugins
from headrace.config.references import References
from headrace.errors import ConfigError


def print_json(root: Block, file: str = "") -> str:
    """A whole job file. JSON has no comments; references to keys of the file are filled.

    Raises ConfigError where the file says what JSON cannot, such as `${?name}`.
    """
    references = References(root, file, "JSON")
    job: dict[str, Any] = {}
    for key, value in root.items():
        if key in KINDS and isinstance(value, Plugins):
            job[key] = [_listed(n, references.fill(n.block, f"{key}[{i}]")) for i, n in enumerate(value.items)]
        else:
            job[key] = references.fill(value, key)
    if references.problems:
        raise ConfigError(references.problems)
    return json.dumps(job, indent=2, ensure_ascii=False) + "\n"


def _listed(named: Named, block: Block) -> dict[str, Any]:
    return {"plugin_name": named.name, **block} if named.name else block
