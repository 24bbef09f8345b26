"""DynamicCompile: refused, with the transform that does the same."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, field_validator

from headrace.connector import Transform, transform
from headrace.options import PATH
from headrace.transforms._tables import TableOptions

CURE = """write it as a Python transform:
  Python {
    columns = [ { dest_field = "total", dest_type = double } ]   # what getInlineOutputColumns gives
    source_code = \"\"\"
def process(row, context):                                       # what getInlineOutputFieldValues does
    return {"total": row["price"] * row["amount"]}
\"\"\"
  }"""


class DynamicCompileOptions(TableOptions):
    """Options of DynamicCompile: understood, so that its job files are told what to do instead."""

    filled_in: ClassVar[Mapping[str, str]] = {"source_code": ".*"}

    compile_language: str = Field(default="", validate_default=True, description="GROOVY, JAVA or SCALA.")
    compile_pattern: str = Field(default="SOURCE_CODE", description="SOURCE_CODE or ABSOLUTE_PATH.")
    source_code: str | None = Field(default=None, description="The code.")
    absolute_path: str | None = Field(default=None, json_schema_extra=PATH, description="A file with the code.")

    @field_validator("compile_language")
    @classmethod
    def _refuse(cls, value: str) -> str:
        language = value.strip().title() or "Java and Groovy"
        raise ValueError(f"cannot run {language} code: there is no JVM; {CURE}")


@transform("DynamicCompile")
class DynamicCompileTransform(Transform):
    """Cannot run: Java, Groovy and Scala need a JVM. The plan is refused and shows the Python transform instead."""

    Options = DynamicCompileOptions
