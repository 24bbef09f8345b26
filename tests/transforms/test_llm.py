"""LLM: what a model answers about rows becomes a column. The services are real HTTP servers of this machine."""

import json

import pytest
from werkzeug import Response

from headrace.config.job import parse_job
from headrace.errors import BadRow, ConfigError, Rejected
from headrace.options import read_options
from headrace.testing import TABLE, ListRejects, TransformContract, batch, make, task
from headrace.transforms.llm import LLMTransform

ROWS = batch((1, "Jia Fan"), (2, "Tomas"), (3, "Eric"))


def content(text):
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


@pytest.fixture
def llm(httpserver):
    """A service that answers with what `think` makes of the rows it is shown, and keeps the requests."""

    class Service:
        url = httpserver.url_for("/v1/chat/completions")
        asked: list = []
        think = staticmethod(lambda rows: [row["name"] or "nobody" for row in rows])

        def answer(self, request):
            rows = json.loads(request.json["messages"][1]["content"])
            self.asked.append(request)
            text = self.think(rows)
            return Response(json.dumps(content(text if isinstance(text, str) else json.dumps(text))))

    service = Service()
    service.asked = []
    httpserver.expect_request("/v1/chat/completions", method="POST").respond_with_handler(service.answer)
    return service


def asking(llm, **options):
    defaults = {"model_provider": "OPENAI", "model": "gpt", "api_key": "sk-x", "prompt": "Who?", "api_path": llm.url}
    return make(LLMTransform, **{**defaults, **options})


def answers(llm, rows=ROWS, rejects=None, **options):
    out = asking(llm, **options).apply(rows, task(rejects=rejects) if rejects else task())
    return [tuple(row.values())[2] for row in out.rows.to_pylist()]


class TestLLM(TransformContract):
    @pytest.fixture
    def transform(self, llm):
        return asking(llm)


@pytest.mark.parametrize("provider", ["OPENAI", "DOUBAO", "KIMIAI", "DEEPSEEK", "ZHIPU", "openai"])
def test_all_rows_are_asked_about_in_one_request(llm, provider):
    assert answers(llm, model_provider=provider) == ["Jia Fan", "Tomas", "Eric"]
    [request] = llm.asked
    assert request.headers["Authorization"] == "Bearer sk-x"
    assert request.json["model"] == "gpt"
    system, user = request.json["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    assert system["content"].startswith("Who?\n")
    assert "type STRING" in system["content"]
    assert json.loads(user["content"])[0] == {"id": 1, "name": "Jia Fan"}


def test_microsoft_has_the_model_in_its_url(httpserver):
    httpserver.expect_request("/deployments/gpt/chat").respond_with_json(content('["a"]'))
    transform = make(
        LLMTransform, model_provider="MICROSOFT", model="gpt", api_key="k", prompt="?",
        api_path=httpserver.url_for("/deployments/") + "${model}/chat",
    )  # fmt: skip
    assert transform.apply(batch((1, "x")), task()).rows["llm_output"].to_pylist() == ["a"]
    assert "model" not in httpserver.log[0][0].json


def test_the_model_sees_only_the_columns_it_should_and_equal_rows_once(llm):
    rows = batch((1, "ann"), (2, "bob"), (3, "ann"))
    assert answers(llm, rows, inference_columns=["name"]) == ["ann", "bob", "ann"]
    assert json.loads(llm.asked[0].json["messages"][1]["content"]) == [{"name": "ann"}, {"name": "bob"}]


@pytest.mark.parametrize("key", ["process_batch_size", "inference_batch_size"])
def test_requests_have_no_more_rows_than_allowed(llm, key):
    assert answers(llm, **{key: 2}) == ["Jia Fan", "Tomas", "Eric"]
    assert sorted(len(json.loads(r.json["messages"][1]["content"])) for r in llm.asked) == [1, 2]


def test_a_model_that_miscounts_is_asked_about_fewer_rows(llm):
    llm.think = lambda rows: ["one"] if len(rows) > 1 else [rows[0]["name"], "more"]
    assert answers(llm) == ["Jia Fan", "Tomas", "Eric"]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("string", '["a"]', "a"),
        ("STRING", "[7]", "7"),
        ("INT", '["7"]', 7),
        ("bigint", "[7]", 7),
        ("DOUBLE", "[0.5]", 0.5),
        ("boolean", '["True"]', True),
        ("STRING", '```json\n["a"]\n```', "a"),
        ("STRING", "[null]", None),
    ],
)
def test_answers_are_of_the_wanted_type(llm, kind, text, expected):
    llm.think = lambda rows: text
    assert answers(llm, batch((1, "x")), output_data_type=kind) == [expected]
    assert asking(llm, output_data_type=kind).schema(TABLE).names[-1] == "llm_output"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I think it is Eric", "'I think it is Eric' is not JSON list"),
        ('{"a": 1}', "is not JSON list"),
        ("[]", "there are 0 for 1 rows"),
        ('["x"]', "cannot read 'x' as INT"),
    ],
)
def test_a_row_without_an_answer_does_not_take_the_others_with_it(llm, text, reason):
    llm.think = lambda rows: text if any(row["id"] == 2 for row in rows) else [row["id"] for row in rows]
    rejects = ListRejects()
    assert answers(llm, rejects=rejects, output_data_type="INT") == [1, 3]
    [(_, row, said)] = rejects.found
    assert (row["id"], said.startswith("the model's answer: ")) == (2, True)
    assert reason in said
    with pytest.raises(BadRow, match="row 2: the model's answer"):
        answers(llm, output_data_type="INT")


def test_an_answer_of_another_shape_is_refused(httpserver):
    httpserver.expect_request("/v1/chat/completions").respond_with_json({"error": "x"})
    transform = make(
        LLMTransform, model_provider="OPENAI", model="m", api_key="k", prompt="?",
        api_path=httpserver.url_for("/v1/chat/completions"),
    )  # fmt: skip
    with pytest.raises(Rejected, match=r'nothing at \$\.choices\[0\]\.message\.content: \{"error": "x"\}'):
        transform.apply(ROWS, task())


CUSTOM = """
source {{ FakeSource {{ schema {{ fields {{ id = bigint, name = string }} }} }} }}
transform {{
  LLM {{
    model_provider = CUSTOM
    model = gpt
    prompt = "Who?"
    openai.api_path = "{0}"
    custom_config = {{
      custom_response_parse = "$.choices[*].message.content"
      custom_request_headers = {{ Content-Type = "application/json", Authorization = "Bearer xxx" }}
      custom_request_body = {{
        model = "${{model}}"
        messages = [ {{ role = system, content = "${{prompt}}" }}, {{ role = user, content = "${{input}}" }} ]
      }}
    }}
  }}
}}
sink {{ Console {{}} }}
"""


def test_a_custom_service_is_asked_as_the_job_file_says(llm):
    [plugin] = parse_job(CUSTOM.format(llm.url)).transforms
    transform = make(LLMTransform, **plugin.options)
    assert transform.apply(ROWS, task()).rows["llm_output"].to_pylist() == ["Jia Fan", "Tomas", "Eric"]
    [request] = llm.asked
    assert request.headers["Authorization"] == "Bearer xxx"
    assert request.json["model"] == "gpt"
    assert request.json["messages"][0]["content"].startswith("Who?")


def test_a_custom_service_may_answer_plainly(llm):
    [plugin] = parse_job(CUSTOM.format(llm.url)).transforms
    llm.think = lambda rows: "it is me"
    assert make(LLMTransform, **plugin.options).apply(ROWS, task()).rows["llm_output"].to_pylist() == ["it is me"] * 3


def test_a_name_that_is_taken_becomes_llm_output(llm):
    assert asking(llm, output_column_name="who").schema(TABLE).names == ["id", "name", "who"]
    transform = asking(llm, output_column_name="name")
    assert transform.schema(TABLE).names == ["id", "name", "llm_output"]
    assert transform.apply(ROWS, task()).rows.schema.names == ["id", "name", "llm_output"]


def test_a_wrong_column_is_named_with_the_nearest(llm):
    with pytest.raises(ConfigError, match=r"^inference_columns: .* 'nme'; did you mean 'name'\?"):
        asking(llm, inference_columns=["nme"]).schema(TABLE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_provider": "OPENAI"}, "OPENAI needs api_key"),
        ({"model_provider": "MICROSOFT", "api_key": "k"}, "MICROSOFT needs api_path"),
        ({"model_provider": "CUSTOM", "api_path": "http://x"}, "CUSTOM needs custom_config"),
        ({"model_provider": "QIANFAN", "api_key": "k"}, "QIANFAN is not one of OPENAI, DOUBAO"),
        ({"model_provider": "NOPE"}, "'NOPE' is not one of"),
        (
            {"model_provider": "OPENAI", "api_key": "k", "api_path": "file:///etc"},
            "must begin with http:// or https://",
        ),
        ({"model_provider": "OPENAI", "api_key": "k", "output_data_type": "DATE"}, "'DATE' is not one of"),
    ],
)
def test_wrong_options_say_what_is_wrong(options, message):
    problems = read_options(LLMTransform.Options, {"model": "m", "prompt": "?", **options}).problems
    assert any(message in str(problem) for problem in problems), problems


def test_keys_are_not_shown(llm):
    assert "sk-x" not in repr(asking(llm).options)
