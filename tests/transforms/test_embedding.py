"""Embedding: what a model makes of values becomes vectors. The services are real HTTP servers of this machine."""

import json

import pyarrow as pa
import pytest
from werkzeug import Response

from headrace.config.job import parse_job
from headrace.errors import ConfigError, Rejected
from headrace.options import read_options
from headrace.rows import Batch, VectorType
from headrace.testing import TABLE, TransformContract, batch, make, task
from headrace.transforms._modalities import SourceField, source_field
from headrace.transforms.embedding import EmbeddingTransform

ROWS = batch((1, "ann"), (2, None), (3, "bo"), (4, "ann"))


def vector(text):
    """What the model makes of a text: its length and its first letter."""
    return [float(len(text)), float(ord(text[:1] or " "))]


@pytest.fixture
def model(httpserver):
    """A service that speaks OpenAI's way, and keeps what it is asked."""

    class Service:
        url = httpserver.url_for("/v1/embeddings")
        asked: list = []

        def answer(self, request):
            self.asked.append(request)
            given = request.json["input"]
            texts = given if isinstance(given, list) else [given]
            data = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(texts)]
            return Response(json.dumps({"object": "list", "data": data}))

    service = Service()
    service.asked = []
    httpserver.expect_request("/v1/embeddings", method="POST").respond_with_handler(service.answer)
    return service


def embedding(model, **options):
    defaults = {"model_provider": "OPENAI", "model": "m", "api_key": "sk-x", "api_path": model.url}
    return make(EmbeddingTransform, **{**defaults, "vectorization_fields": {"v": "name"}, **options})


def vectors(model, rows=ROWS, **options):
    out = embedding(model, **options).apply(rows, task())
    assert out.rows["v"].type == VectorType()
    return out.rows["v"].storage.to_pylist()


class TestEmbedding(TransformContract):
    @pytest.fixture
    def transform(self, model):
        return embedding(model)


def test_each_distinct_value_is_asked_once_and_null_stays_null(model):
    assert vectors(model) == [[3, 97], None, [2, 98], [3, 97]]
    assert sorted(request.json["input"] for request in model.asked) == ["ann", "bo"]
    assert model.asked[0].headers["Authorization"] == "Bearer sk-x"
    assert model.asked[0].json["model"] == "m"


def test_many_values_go_in_one_request(model):
    assert vectors(model, single_vectorized_input_number=8) == [[3, 97], None, [2, 98], [3, 97]]
    assert [request.json["input"] for request in model.asked] == [["ann", "bo"]]


def test_a_url_of_tokens_is_no_file():
    options = {"model_provider": "QIANFAN", "model": "m", "api_key": "k", "secret_key": "s"}
    options |= {"vectorization_fields": {"v": "a"}, "oauth_path": "file:///etc/passwd"}
    (problem,) = read_options(EmbeddingTransform.Options, options).problems
    assert "oauth_path 'file:///etc/passwd' must begin with http" in str(problem)


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("DOUBAO", {"model": "m", "input": ["ann"]}),
        ("ZHIPU", {"model": "m", "dimensions": 256, "input": ["ann"]}),
        ("OPENAI", {"model": "m", "input": "ann"}),
    ],
)
def test_each_provider_is_asked_its_way(model, provider, body):
    options = {"dimension": 256} if provider == "ZHIPU" else {}
    assert vectors(model, batch((1, "ann")), model_provider=provider, **options) == [[3, 97]]
    assert model.asked[0].json == body


def test_several_columns_of_any_type_become_vectors(model):
    transform = embedding(model, vectorization_fields={"a": "id", "name": {"field": "name"}})
    assert transform.schema(TABLE).names == ["id", "name", "a"]
    rows = transform.apply(batch((17, "ann")), task()).rows
    assert rows["a"].storage.to_pylist() == [[2, 49]]
    assert rows["name"].storage.to_pylist() == [[3, 97]]


@pytest.mark.parametrize(
    ("options", "length"),
    [({}, None), ({"dimension": 512}, 512), ({"model_provider": "ZHIPU"}, 2048)],
)
def test_sinks_are_told_the_length_where_it_is_known(model, options, length):
    column = embedding(model, **options).schema(TABLE).column("v")
    assert (column.type, column.scale) == (VectorType(), length)


CUSTOM = """
source {{ FakeSource {{ schema {{ fields {{ id = bigint, name = string }} }} }} }}
transform {{
  Embedding {{
    model_provider = CUSTOM
    model = "m"
    api_path = "{0}"
    single_vectorized_input_number = 2
    vectorization_fields {{ v = name }}
    custom_config = {{
      custom_response_parse = "$.data[*].embedding"
      custom_request_headers = {{ Authorization = "Bearer xxx" }}
      custom_request_body = {{ modelx = "${{model}}", input = ["${{input}}"], first = "${{input}}" }}
    }}
  }}
}}
sink {{ Console {{}} }}
"""


def test_a_custom_service_is_asked_as_the_job_file_says(model):
    [plugin] = parse_job(CUSTOM.format(model.url)).transforms
    out = make(EmbeddingTransform, **plugin.options).apply(ROWS, task())
    assert out.rows["v"].storage.to_pylist() == [[3, 97], None, [2, 98], [3, 97]]
    [request] = model.asked
    assert request.json == {"modelx": "m", "input": ["ann", "bo"], "first": "ann"}
    assert request.headers["Authorization"] == "Bearer xxx"


def test_a_custom_answer_may_be_the_vector_itself(httpserver):
    httpserver.expect_request("/").respond_with_json({"vector": [1, 2]})
    config = {"custom_response_parse": "$.vector", "custom_request_body": {"text": "${input}"}}
    transform = make(
        EmbeddingTransform, model_provider="CUSTOM", model="m", api_path=httpserver.url_for("/"),
        vectorization_fields={"v": "name"}, custom_config=config,
    )  # fmt: skip
    assert transform.apply(batch((1, "a")), task()).rows["v"].storage.to_pylist() == [[1, 2]]


@pytest.fixture
def qianfan(httpserver):
    """QIANFAN's services: one gives tokens, the other wants one."""
    tokens = iter(["old", "new", "newer"])
    keys = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "s&crt"}
    httpserver.expect_request("/token", query_string=keys).respond_with_handler(
        lambda request: Response(json.dumps({"access_token": next(tokens)}))
    )
    return httpserver


def asking_qianfan(httpserver):
    return make(
        EmbeddingTransform, model_provider="QIANFAN", model="bge", api_key="key", secret_key="s&crt",
        api_path=httpserver.url_for("/embeddings"), oauth_path=httpserver.url_for("/token"),
        vectorization_fields={"v": "name"}, model_parallel_requests=1,
    )  # fmt: skip


def test_qianfan_gets_a_token_and_a_new_one_when_it_has_expired(qianfan):
    old = qianfan.expect_request("/embeddings/bge", query_string={"access_token": "old"}, json={"input": ["ann"]})
    old.respond_with_json({"error_code": 110, "error_msg": "Access token invalid"})
    new = qianfan.expect_request("/embeddings/bge", query_string={"access_token": "new"}, json={"input": ["ann"]})
    new.respond_with_json({"data": [{"embedding": [1, 2]}]})
    transform = asking_qianfan(qianfan)
    for _ in range(2):
        out = transform.apply(batch((1, "ann")), task())
        assert out.rows["v"].storage.to_pylist() == [[1, 2]]
    assert len([request for request, _ in qianfan.log if request.path == "/token"]) == 2


@pytest.mark.parametrize("code", [110, 17])
def test_qianfan_may_refuse(qianfan, code):
    qianfan.expect_request("/embeddings/bge").respond_with_json({"error_code": code, "error_msg": "no"})
    with pytest.raises(Rejected, match=f"QIANFAN answered error {code}: no"):
        asking_qianfan(qianfan).apply(batch((1, "ann")), task())


def test_too_few_vectors_are_refused(httpserver):
    httpserver.expect_request("/").respond_with_json({"data": [{"embedding": [1]}]})
    transform = make(
        EmbeddingTransform, model_provider="OPENAI", model="m", api_key="k", api_path=httpserver.url_for("/"),
        vectorization_fields={"v": "name"}, single_vectorized_input_number=2,
    )  # fmt: skip
    with pytest.raises(Rejected, match=r"there are 1 vectors at \$\.data\[\*\]\.embedding for 2 values"):
        transform.apply(ROWS, task())


@pytest.mark.parametrize(
    ("field", "value", "content"),
    [
        ({"format": "url"}, " http://x/a.PNG?x=1 ", {"type": "image_url", "image_url": {"url": "http://x/a.PNG?x=1"}}),
        ({"format": "url", "modality": "mp4"}, "http://x", {"type": "video_url", "video_url": {"url": "http://x"}}),
        ({"format": "url"}, "just words", {"type": "text", "text": "just words"}),
        (
            {"format": "binary", "modality": "JPG"},
            b"abc",
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,YWJj"}},
        ),
    ],
)
def test_doubao_takes_images_and_videos(httpserver, field, value, content):
    wanted = {"model": "m", "encoding_format": "float", "input": [content]}
    httpserver.expect_request("/", json=wanted).respond_with_json({"data": {"embedding": [0.5]}})
    transform = make(
        EmbeddingTransform, model_provider="DOUBAO", model="m", api_key="k", api_path=httpserver.url_for("/"),
        vectorization_fields={"v": {"field": "x", **field}},
    )  # fmt: skip
    out = transform.apply(Batch(pa.record_batch({"x": [value]}), "t"), task())
    assert out.rows["v"].storage.to_pylist() == [[0.5]]


def test_bytes_of_an_unknown_kind_are_an_error():
    with pytest.raises(ValueError, match="nothing says what column 'x' holds; set its modality"):
        SourceField(field="x", format="binary").content(b"abc")
    with pytest.raises(ValueError, match="modality 'mp3' is not one of text, jpeg"):
        source_field({"field": "x", "modality": "mp3"})


def test_a_wrong_column_is_named_with_the_nearest(model):
    with pytest.raises(ConfigError, match=r"^vectorization_fields\.v: .* 'nme'; did you mean 'name'\?"):
        embedding(model, vectorization_fields={"v": "nme"}).schema(TABLE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vectorization_fields": {}}, "at least 1 item"),
        ({"api_key": None}, "OPENAI needs api_key"),
        ({"model_provider": "QIANFAN"}, "QIANFAN needs secret_key"),
        ({"model_provider": "KIMIAI"}, "KIMIAI is not one of OPENAI, DOUBAO, QIANFAN"),
        ({"model_provider": "ZHIPU", "single_vectorized_input_number": 65}, "at most 64 values"),
        ({"vectorization_fields": {"v": {"field": "x", "format": "url"}}}, "OPENAI takes texts only; 'x' is none"),
        (
            {
                "model_provider": "DOUBAO",
                "vectorization_fields": {"v": {"field": "x", "format": "url"}},
                "single_vectorized_input_number": 2,
            },
            "one image or video in a request",
        ),
    ],
)
def test_wrong_options_say_what_is_wrong(options, message):
    values = {"model_provider": "OPENAI", "model": "m", "api_key": "k", "vectorization_fields": {"v": "x"}, **options}
    problems = read_options(EmbeddingTransform.Options, values).problems
    assert any(message in str(problem) for problem in problems), problems
