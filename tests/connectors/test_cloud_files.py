"""OssFile, OssJindoFile, CosFile and ObsFile through the S3 interface, on a real S3 server."""

import pytest

from headrace.connector import sinks, sources
from headrace.errors import Rejected
from headrace.options import read_options
from headrace.testing import make
from tests.checkpoint.s3 import KEY, SECRET, Gateway
from tests.connectors.stores import CsvSource, ParquetSource, Store, StoreJobs, StoreSinkContract

OSS = {
    "bucket": "oss://bucket",
    "endpoint": "oss-cn-hangzhou.aliyuncs.com",
    "access_key": "k",
    "access_secret": "s3cret",
}
COS = {"bucket": "cosn://bucket", "region": "ap-chengdu", "secret_id": "k", "secret_key": "s3cret"}
OBS = {
    "bucket": "obs://bucket",
    "endpoint": "obs.cn-north-4.myhuaweicloud.com",
    "access_key": "k",
    "access_secret": "s3cret",
}
GIVEN = {"OssFile": OSS, "OssJindoFile": OSS, "CosFile": COS, "ObsFile": OBS}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    running = Gateway(tmp_path_factory.mktemp("s3")).start()
    yield running
    running.stop()


def store_of(name, gateway):
    keys = (
        {"secret_id": KEY, "secret_key": SECRET} if name == "CosFile" else {"access_key": KEY, "access_secret": SECRET}
    )
    given = GIVEN[name] | keys | {"endpoint": gateway.endpoint} | ({"region": "us-east-1"} if name == "CosFile" else {})
    return Store(name, sources.find(name), sinks.find(name), given, "")


@pytest.fixture
def store(gateway):
    return store_of("OssFile", gateway)


@pytest.mark.service
class TestCsvSource(CsvSource):
    pass


@pytest.mark.service
class TestParquetSource(ParquetSource):
    pass


@pytest.mark.service
class TestCsvSink(StoreSinkContract):
    options = {"file_format_type": "csv"}


@pytest.mark.service
@pytest.mark.parametrize("name", GIVEN)
class TestJobs(StoreJobs):
    secret = SECRET

    @pytest.fixture
    def store(self, gateway, name):
        return store_of(name, gateway)


def place_of(name, **options):
    found = read_options(sinks.find(name).Options, {**GIVEN[name], "path": "/out", **options})
    assert found.options is not None, found.problems
    return found.options.place()


def test_buckets_are_where_seatunnel_s_options_say():
    found = {name: (place_of(name).endpoint, place_of(name).region, place_of(name).keys) for name in GIVEN}
    oss = ("https://oss-cn-hangzhou.aliyuncs.com", "oss-cn-hangzhou", ("k", "s3cret", ""))
    assert found == {
        "OssFile": oss,
        "OssJindoFile": oss,
        "CosFile": ("https://cos.ap-chengdu.myqcloud.com", "ap-chengdu", ("k", "s3cret", "")),
        "ObsFile": ("https://obs.cn-north-4.myhuaweicloud.com", "cn-north-4", ("k", "s3cret", "")),
    }
    assert place_of("OssFile", endpoint="http://oss-cn-beijing-internal.aliyuncs.com").region == "oss-cn-beijing"
    assert not any(place_of(name).path_style for name in GIVEN)


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("OssFile", {"bucket": "s3a://bucket"}, "begin it with oss://"),
        ("OssFile", {"endpoint": ""}, "endpoint: required option is missing"),
        ("ObsFile", {"access_secret": ""}, "access_secret: required option is missing"),
        ("CosFile", {"region": ""}, "region: required option is missing"),
        ("CosFile", {"region": "a/b"}, "region"),
        ("CosFile", {"bucket": "cos://bucket"}, "begin it with cosn://"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(name, options, text):
    found = read_options(sinks.find(name).Options, {**GIVEN[name], "path": "/out", **options})
    assert found.options is None
    assert text in "\n".join(map(str, found.problems))


@pytest.mark.service
@pytest.mark.parametrize("name", GIVEN)
def test_what_the_store_refuses_is_told_by_the_options_of_the_connector(gateway, name):
    key, secret = ("secret_id", "secret_key") if name == "CosFile" else ("access_key", "access_secret")
    wrong = make(sinks.find(name), **store_of(name, gateway).given | {secret: "wrong"}, path="/x").storage()
    with pytest.raises(Rejected, match=f"the secret does not belong to the key {KEY}; correct {secret}"):
        wrong.stat("/f")
    wrong = make(sinks.find(name), **store_of(name, gateway).given | {key: "AKIDNOBODY"}, path="/x").storage()
    with pytest.raises(Rejected, match=f"does not know the key AKIDNOBODY; correct {key}"):
        wrong.stat("/f")


@pytest.mark.service
def test_a_wrong_region_is_told(gateway):
    wrong = make(sinks.find("CosFile"), **store_of("CosFile", gateway).given | {"region": "ap-x"}, path="/x").storage()
    with pytest.raises(Rejected, match="cannot read cosn://bucket/f: .*see whether region is right"):
        wrong.stat("/f")


def test_the_host_of_a_region_is_one_that_a_server_must_allow():
    options = read_options(sinks.find("CosFile").Options, {**COS, "path": "/out"}).options
    assert list(options.touches()) == [("region", "host", "cos.ap-chengdu.myqcloud.com")]


def test_secrets_are_not_shown():
    for name in GIVEN:
        options = read_options(sinks.find(name).Options, {**GIVEN[name], "path": "/out"}).options
        assert "s3cret" not in f"{options!r} {options.place()!r}"
