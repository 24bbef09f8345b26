"""What kind of thing a value is that a model turns into a vector: a text, an image or a video."""

import base64
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from headrace.connector import Choice, Options

_IMAGES = {
    "jpeg": ("jpg", "jpeg"), "png": ("png", "apng"), "gif": ("gif",), "webp": ("webp",), "bmp": ("bmp", "dib"),
    "tiff": ("tiff", "tif"), "ico": ("ico",), "icns": ("icns",), "sgi": ("sgi",),
    "jpeg2000": ("j2c", "j2k", "jp2", "jpc", "jpf", "jpx"),
}  # fmt: skip
_VIDEOS = {"mp4": ("mp4",), "avi": ("avi",), "mov": ("mov",)}
_BY_SUFFIX = {suffix: name for kinds in (_IMAGES, _VIDEOS) for name, suffixes in kinds.items() for suffix in suffixes}
MODALITIES = ("text", *_IMAGES, *_VIDEOS)
"""Every kind that an option may name."""


class Format(Choice):
    """How a value holds the thing."""

    TEXT = "text"
    URL = "url"
    BINARY = "binary"


class SourceField(Options):
    """A column whose values become vectors."""

    field: str = Field(description="The column.")
    modality: str | None = Field(
        default=None, description=f"{', '.join(MODALITIES)}; told by the value's suffix when left out."
    )
    format: Format = Field(default=Format.TEXT, description="text, url or binary.")

    @property
    def is_text(self) -> bool:
        """Whether the values are plain texts."""
        return self.format is Format.TEXT and self.modality in (None, "text")

    def content(self, value: Any) -> dict[str, Any]:
        """The value as multimodal services take it. Raises ValueError when nothing says what kind it is."""
        kind = self.modality or ("" if self.format is Format.BINARY else _kind_of(str(value)))
        if not kind:
            raise ValueError(f"nothing says what column {self.field!r} holds; set its modality")
        if kind == "text":
            return {"type": "text", "text": str(value).strip()}
        group = "image" if kind in _IMAGES else "video"
        if self.format is Format.BINARY:
            data = value if isinstance(value, bytes) else str(value).encode()
            url = f"data:{group}/{kind};base64,{base64.b64encode(data).decode()}"
        else:
            url = str(value).strip()
        return {"type": f"{group}_url", f"{group}_url": {"url": url}}


def _kind_of(text: str) -> str:
    """The kind that the suffix of a path or URL names; text when it names none."""
    path = text.strip().partition("?")[0]
    return _BY_SUFFIX.get(path.rpartition(".")[2].lower(), "text")


def source_field(value: Any) -> Any:
    """An option's value as the options of a SourceField: a column's name alone is one of texts."""
    found = dict(value) if isinstance(value, Mapping) else {"field": value}
    if isinstance(modality := found.get("modality"), str):
        wanted = modality.strip().lower()
        found["modality"] = _BY_SUFFIX.get(wanted, wanted)
        if found["modality"] not in MODALITIES:
            raise ValueError(f"modality {modality!r} is not one of {', '.join(MODALITIES)}")
    return found
