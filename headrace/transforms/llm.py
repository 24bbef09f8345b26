"""LLM: appends what a language model answers about each row."""

import json
from collections.abc import Sequence
from typing import Any, Self

import orjson
import pyarrow as pa
from pydantic import AliasChoices, Field, model_validator

from headrace.connector import Batch, Choice, TableSchema, TaskContext, transform
from headrace.errors import Rejected
from headrace.rows import Column, parse_type
from headrace.transforms._json_paths import parse_path
from headrace.transforms._rows_as_json import json_rows
from headrace.transforms._service import ModelOptions, Provider, Service, fill
from headrace.transforms._tables import TableTransform, add_arrays, add_columns, need_columns
from headrace.values import parse_value, to_array

URLS = {
    Provider.OPENAI: "https://api.openai.com/v1/chat/completions",
    Provider.DOUBAO: "https://ark.cn-beijing.volces.com/api/v3/chat/completions",
    Provider.DEEPSEEK: "https://api.deepseek.com/chat/completions",
    Provider.KIMIAI: "https://api.moonshot.cn/v1/chat/completions",
    Provider.MICROSOFT: "",
    Provider.ZHIPU: "https://open.bigmodel.cn/api/paas/v4/chat/completions",
    Provider.CUSTOM: "",
}

RULES = """

Keep to these rules:
1. You get a JSON array of rows. Answer with a JSON array that has one element for each row, in the same order.
2. Answer with the array and nothing else: no explanation, no block of code.
3. Every element is of the type {0}.
For example: {1}"""
_EXAMPLES = {"STRING": '["first", "second"]', "DOUBLE": "[1.5, 2.0]", "BOOLEAN": "[true, false]"}


class OutputType(Choice):
    """What kind of value the model gives."""

    STRING = "STRING"
    INT = "INT"
    BIGINT = "BIGINT"
    DOUBLE = "DOUBLE"
    BOOLEAN = "BOOLEAN"


class LLMOptions(ModelOptions):
    """Options of LLM."""

    known_urls = URLS

    prompt: str = Field(description="What the model is asked about the rows.")
    inference_columns: list[str] = Field(default=[], description="The columns the model sees; all when left out.")
    output_data_type: OutputType = Field(default=OutputType.STRING, description="STRING, INT, BIGINT, DOUBLE, BOOLEAN.")
    output_column_name: str = Field(
        default="llm_output", description="The new column; llm_output when a column has that name already."
    )
    process_batch_size: int = Field(
        default=100,
        gt=0,
        validation_alias=AliasChoices("process_batch_size", "inference_batch_size"),
        description="Rows in one request, at most.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.check()
        if self.custom_config is not None:
            parse_path(self.custom_config.custom_response_parse)
        return self

    def column(self, names: Sequence[str]) -> str:
        """The new column's name beside these columns."""
        return "llm_output" if self.output_column_name in names else self.output_column_name


@transform("LLM")
class LLMTransform(TableTransform):
    """Appends a model's answer about each row: many rows in a request, equal ones once; fewer when it miscounts."""

    Options = LLMOptions

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._services: dict[int, Service] = {}

    def rows_at_once(self) -> int:  # noqa: D102
        sets = [options for _, options in self.option_sets()]
        return max((o.process_batch_size * o.model_parallel_requests for o in sets), default=1)

    def describe(self, table: TableSchema, options: LLMOptions) -> TableSchema:  # noqa: D102
        need_columns("inference_columns", options.inference_columns, table)
        column = Column(options.column(table.names), parse_type(options.output_data_type.value))
        return add_columns(table, [column])

    def change(self, batch: Batch, options: LLMOptions, task: TaskContext) -> Batch:  # noqa: D102
        seen = batch.rows.select(options.inference_columns) if options.inference_columns else batch.rows
        texts = [orjson.dumps(row).decode() for row in json_rows(seen)]
        distinct = list(dict.fromkeys(texts))
        size = options.process_batch_size
        chat = _Chat(options, self._services.setdefault(id(options), Service(options, "LLM")), batch.table)
        answers = chat.service.each(chat.ask, [distinct[at : at + size] for at in range(0, len(distinct), size)])
        found = dict(zip(distinct, (answer for part in answers for answer in part), strict=True))
        return _with_answers(batch, [found[text] for text in texts], options, task)


def _with_answers(batch: Batch, answers: list[Any], options: LLMOptions, task: TaskContext) -> Batch:
    """The rows with their answers; those whose answer is an error, or of another type, are set aside."""
    dtype = parse_type(options.output_data_type.value)
    values, reasons = [None] * batch.num_rows, [""] * batch.num_rows
    for row, answer in enumerate(answers):
        try:
            if isinstance(answer, ValueError):
                raise answer
            values[row] = parse_value(answer, dtype)
        except ValueError as error:
            reasons[row] = f"the model's answer: {error}"
    whole = batch.with_rows(add_arrays(batch.rows, {options.column(batch.rows.schema.names): to_array(values, dtype)}))
    if not any(reasons):
        return whole
    task.rejects.add(batch, pa.array([bool(reason) for reason in reasons]), pa.array(reasons))
    return whole.filter(pa.array([not reason for reason in reasons]))


class _Chat:
    """Asks about some rows."""

    def __init__(self, options: LLMOptions, service: Service, table: str) -> None:
        self._options, self.service, self._table = options, service, table
        self._url, self._headers = options.url(), options.headers()
        kind = options.output_data_type.value
        self._prompt = options.prompt + RULES.format(kind, _EXAMPLES.get(kind, "[1, 2]"))

    def ask(self, rows: list[str]) -> list[Any]:
        """One answer for each row, each a JSON object; a ValueError for a row without one."""
        data = f"[{','.join(rows)}]"
        try:
            answers = self._answers(self.service.post(self._url, self._body(data), self._headers))
            if len(answers) == len(rows):
                return answers
            problem = ValueError(f"there are {len(answers)} for {len(rows)} rows")
        except ValueError as error:
            answers, problem = [], error
        if len(rows) == 1:  # as in SeaTunnel, the first of several counts
            return answers[:1] or [problem]
        half = len(rows) // 2
        return self.ask(rows[:half]) + self.ask(rows[half:])

    def _body(self, data: str) -> Any:
        options = self._options
        if options.custom_config is not None and options.model_provider is Provider.CUSTOM:
            values = {"input": data, "prompt": self._prompt, "model": options.model}
            return fill(options.custom_config.custom_request_body, values)
        messages = [{"role": "system", "content": self._prompt}, {"role": "user", "content": data}]
        if options.model_provider is Provider.MICROSOFT:  # the model is part of the URL
            return {"messages": messages}
        return {"model": options.model, "messages": messages}

    def _answers(self, response: Any) -> list[Any]:
        """The answers of a response. Raises ValueError when the text is not a list, Rejected for other shapes."""
        custom = self._options.custom_config if self._options.model_provider is Provider.CUSTOM else None
        path = custom.custom_response_parse if custom else "$.choices[0].message.content"
        try:
            found = parse_path(path).find(response)
        except LookupError:
            text = json.dumps(response, ensure_ascii=False)[:300]
            raise Rejected(f"the answer has nothing at {path}: {text}", "LLM", self._table) from None
        if custom is None:
            return _listed(found)
        texts = found if isinstance(found, list) else [found]
        return [answer for text in texts for answer in _listed_or_plain(text)]


def _listed(text: Any) -> list[Any]:
    """A text that holds a JSON list, perhaps in a block of code. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not text")
    bare = text.strip()
    if bare.startswith("```"):
        bare = bare.strip("`").removeprefix("json").strip()
    try:
        found = json.loads(bare)
    except ValueError:
        raise ValueError(f"{text[:200]!r} is not JSON list") from None
    if not isinstance(found, list):
        raise ValueError(f"{text[:200]!r} is not JSON list")
    return found


def _listed_or_plain(text: Any) -> list[Any]:
    """What a CUSTOM service gives: its text may hold a JSON list, as the prompt asks for, or be an answer itself."""
    try:
        return _listed(text)
    except ValueError:
        return [text]
