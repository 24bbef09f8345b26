"""Some of SeaTunnel's job files on Ray."""

import pytest

from tests.jobs.test_seatunnel import check, stage_all
from tests.runners import make_runner

pytestmark = [pytest.mark.job, pytest.mark.slow]

FILES = [
    "fake/fake_to_assert_with_multitable_exception.conf",
    "engine/fake_to_console_with_default_value.variables.conf",
    "engine/cluster_batch_fake_to_localfile_template.conf",
]


@pytest.fixture(scope="module")
def runner():
    made = make_runner("ray", 2)
    yield made
    made.close()


@pytest.mark.parametrize("name", FILES)
def test_job_file_ends_as_with_the_other_runners(name, tmp_path, runner):
    stage_all(tmp_path)
    check(name, tmp_path, runner)
