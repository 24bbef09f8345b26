"""Embedding: appends vectors that a model makes of texts, images and videos."""

import json
from collections.abc import Callable, Iterable
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator

from headrace.connector import Batch, TableSchema, TaskContext, transform
from headrace.errors import Rejected
from headrace.options import HOST
from headrace.rows import Column, VectorType
from headrace.transforms._json_paths import parse_path
from headrace.transforms._modalities import SourceField, source_field
from headrace.transforms._service import ModelOptions, Provider, Service, fill, need_http
from headrace.transforms._tables import TableTransform, add_arrays, add_columns, need_columns

URLS = {
    Provider.OPENAI: "https://api.openai.com/v1/embeddings",
    Provider.DOUBAO: "https://ark.cn-beijing.volces.com/api/v3/embeddings",
    Provider.QIANFAN: "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop/embeddings",
    Provider.ZHIPU: "https://open.bigmodel.cn/api/paas/v4/embeddings",
    Provider.CUSTOM: "",
}
_QIANFAN_TOKENS = "https://aip.baidubce.com/oauth/2.0/token"
_TOKEN_EXPIRED = (110, 111)


class EmbeddingOptions(ModelOptions):
    """Options of Embedding."""

    known_urls = URLS

    vectorization_fields: dict[str, SourceField] = Field(
        min_length=1, description="New column → the column it is made of: its name, or { field, modality, format }."
    )
    single_vectorized_input_number: int = Field(default=1, gt=0, description="Values in one request, at most.")
    process_batch_size: int = Field(
        default=100,
        validation_alias=AliasChoices("process_batch_size", "inference_batch_size"),
        description="Has no effect: batches are those of the source.",
    )
    secret_key: SecretStr | None = Field(default=None, description="QIANFAN: the second key.")
    oauth_path: str = Field(
        default=_QIANFAN_TOKENS, json_schema_extra=HOST, description="QIANFAN: the URL that gives tokens."
    )
    dimension: int | None = Field(
        default=None, gt=0, description="The vectors' length; asked of ZHIPU (2048 when left out), told to sinks."
    )

    def touches(self) -> Iterable[tuple[str, str, str]]:
        """The URL of tokens, too, where no option says it."""
        yield from super().touches()
        if self.model_provider is Provider.QIANFAN:
            yield "oauth_path", "host", self.oauth_path

    @field_validator("vectorization_fields", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        return {name: source_field(field) for name, field in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.check()
        if self.custom_config is not None:
            parse_path(self.custom_config.custom_response_parse)
        if self.model_provider is Provider.QIANFAN and self.secret_key is None:
            raise ValueError("QIANFAN needs secret_key")
        need_http("oauth_path", self.oauth_path)
        if self.model_provider is Provider.ZHIPU and self.single_vectorized_input_number > 64:
            raise ValueError("ZHIPU takes at most 64 values in one request: single_vectorized_input_number")
        others = [field.field for field in self.vectorization_fields.values() if not field.is_text]
        if others and self.model_provider is not Provider.DOUBAO:
            raise ValueError(f"{self.model_provider.value} takes texts only; {others[0]!r} is none, DOUBAO takes it")
        if others and self.single_vectorized_input_number > 1:
            raise ValueError("DOUBAO takes one image or video in a request: set single_vectorized_input_number = 1")
        return self


@transform("Embedding")
class EmbeddingTransform(TableTransform):
    """Appends a model's vectors of 32-bit floats; equal values are asked once, null gives null."""

    Options = EmbeddingOptions

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._models: dict[int, _Model] = {}

    def rows_at_once(self) -> int:  # noqa: D102
        sets = [options for _, options in self.option_sets()]
        return max((o.single_vectorized_input_number * o.model_parallel_requests for o in sets), default=1)

    def describe(self, table: TableSchema, options: EmbeddingOptions) -> TableSchema:  # noqa: D102
        for name, field in options.vectorization_fields.items():
            need_columns(f"vectorization_fields.{name}", [field.field], table)
        length = options.dimension or (2048 if options.model_provider is Provider.ZHIPU else None)
        return add_columns(table, [Column(name, VectorType(), scale=length) for name in options.vectorization_fields])

    def change(self, batch: Batch, options: EmbeddingOptions, task: TaskContext) -> Batch:  # noqa: D102
        model = self._models.setdefault(id(options), _Model(options))
        batch = _without_unknown(batch, options, task)
        new = {
            name: _vectors(batch.rows.column(field.field), field, model)
            for name, field in options.vectorization_fields.items()
        }
        return batch.with_rows(add_arrays(batch.rows, new))


def _without_unknown(batch: Batch, options: EmbeddingOptions, task: TaskContext) -> Batch:
    """The rows without those whose images or videos nothing says the kind of; they are set aside."""
    reasons = [""] * batch.num_rows
    for field in options.vectorization_fields.values():
        for row, value in enumerate([] if field.is_text else batch.rows.column(field.field).to_pylist()):
            try:
                if value is not None:
                    field.content(value)
            except ValueError as error:
                reasons[row] = str(error)
    if not any(reasons):
        return batch
    bad = pa.array([bool(reason) for reason in reasons])
    task.rejects.add(batch, bad, pa.array(reasons))
    return batch.filter(pc.invert(bad))


def _vectors(column: pa.Array, field: SourceField, model: "_Model") -> pa.Array:
    values = column.to_pylist()
    distinct = list(dict.fromkeys(_key(value) for value in values if value is not None))
    found = dict(zip(distinct, model.vectors(distinct, field), strict=True))
    made = [None if value is None else found[_key(value)] for value in values]
    return pa.ExtensionArray.from_storage(VectorType(), pa.array(made, pa.list_(pa.float32())))


def _key(value: Any) -> Any:
    """What a value is asked about as: texts and bytes as they are, others as text."""
    return value if isinstance(value, str | bytes) else str(value)


class _Model:
    """Turns values into vectors. One instance serves all tasks of a process."""

    def __init__(self, options: EmbeddingOptions) -> None:
        self._options = options
        self._service = Service(options, "Embedding")
        self._url, self._headers = options.url(), options.headers()
        self._token = ""

    def vectors(self, values: list[Any], field: SourceField) -> list[list[float]]:
        """A vector for each value, in order. Raises Unavailable or Rejected."""
        size = self._options.single_vectorized_input_number
        ask: Callable[[list[Any]], list[list[float]]] = self._texts
        if self._options.model_provider is Provider.DOUBAO and not field.is_text:
            ask = lambda some: self._thing(some[0], field)  # noqa: E731  shorter than a method
        parts = self._service.each(ask, [values[at : at + size] for at in range(0, len(values), size)])
        return [vector for part in parts for vector in part]

    def _texts(self, values: list[Any]) -> list[list[float]]:
        texts = [value if isinstance(value, str) else value.decode(errors="replace") for value in values]
        if self._options.model_provider is Provider.QIANFAN:
            response = self._ask_qianfan(texts)
        else:
            response = self._service.post(self._url, self._body(texts), self._headers)
        custom = self._options.custom_config if self._options.model_provider is Provider.CUSTOM else None
        return self._found(response, custom.custom_response_parse if custom else "$.data[*].embedding", len(texts))

    def _thing(self, value: Any, field: SourceField) -> list[list[float]]:
        """The vector of an image or a video."""
        body = {"model": self._options.model, "encoding_format": "float", "input": [field.content(value)]}
        return self._found(self._service.post(self._url, body, self._headers), "$.data['embedding']", 1)

    def _body(self, texts: list[str]) -> dict[str, Any]:
        options = self._options
        if options.model_provider is Provider.CUSTOM and options.custom_config is not None:
            body = options.custom_config.custom_request_body
            values = {"model": options.model, "input": texts[0]}
            return {key: texts if isinstance(item, list) else fill(item, values) for key, item in body.items()}
        if options.model_provider is Provider.OPENAI:
            return {"model": options.model, "input": texts[0] if len(texts) == 1 else texts}
        if options.model_provider is Provider.ZHIPU:
            return {"model": options.model, "dimensions": options.dimension or 2048, "input": texts}
        return {"model": options.model, "input": texts}

    def _found(self, response: Any, path: str, count: int) -> list[list[float]]:
        """The vectors of a response. Raises Rejected when there are not as many as values."""
        try:
            found = parse_path(path).find(response)
        except LookupError:
            found = []
        if count == 1 and found and isinstance(found[0], int | float):
            found = [found]
        if len(found) != count or not all(isinstance(vector, list) for vector in found):
            text = json.dumps(response, ensure_ascii=False)[:300]
            raise Rejected(f"there are {len(found)} vectors at {path} for {count} values: {text}", "Embedding")
        return found

    # ------------------------------------------------------------------------------------------------- QIANFAN

    def _ask_qianfan(self, texts: list[str]) -> Any:
        """The answer, with a new token when the one at hand has expired."""
        for fresh in (False, True):
            if fresh or not self._token:
                self._token = self._new_token()
            url = f"{self._url.rstrip('/')}/{self._options.model}?access_token={self._token}"
            response = self._service.post(url, {"input": texts}, {"Content-Type": "application/json"})
            code = response.get("error_code") if isinstance(response, dict) else None
            if code is None:
                return response
            if code not in _TOKEN_EXPIRED or fresh:
                break
        raise Rejected(f"QIANFAN answered error {code}: {response.get('error_msg', '')}", "Embedding")

    def _new_token(self) -> str:
        from urllib.parse import urlencode

        options = self._options
        assert options.api_key is not None
        assert options.secret_key is not None
        keys = {
            "grant_type": "client_credentials",
            "client_id": options.api_key.get_secret_value(),
            "client_secret": options.secret_key.get_secret_value(),
        }
        response = self._service.get(f"{options.oauth_path}?{urlencode(keys)}")
        if not isinstance(response, dict) or not response.get("access_token"):
            raise Rejected("the service of tokens gave none", "Embedding")
        return str(response["access_token"])
