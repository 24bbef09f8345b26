"""What holds for all tests."""

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

BARE = Path(__file__).parent / "bare"

os.environ["PYTHONPATH"] = os.pathsep.join([str(BARE), *filter(None, [os.environ.get("PYTHONPATH")])])
"""Processes that tests start find no pandas, as in an environment that has only Headrace: pyarrow imports it where it
can, for a second of each process."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # begun in the background by a shell, which would make the programs that tests interrupt deaf to it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
"""A machine that does other work, too, is not a fault of an example; speed is measured in benchmarks."""


@pytest.fixture(scope="session")
def sshd():
    """OpenSSH's server."""
    from tests.storage.sshd import Sshd, why_not

    if reason := why_not():
        pytest.skip(reason)
    running = Sshd().make().start()
    yield running
    running.remove()


@pytest.fixture(scope="session")
def vsftpd():
    """An FTP server."""
    from tests.storage.vsftpd import Vsftpd, why_not

    if reason := why_not():
        pytest.skip(reason)
    running = Vsftpd().make().start()
    yield running
    running.remove()


@pytest.fixture(scope="session")
def hdfs():
    """HDFS, with a folder /home in which everybody may do everything."""
    from tests.storage.hdfs import Hdfs, why_not

    if reason := why_not():
        pytest.skip(reason)
    running = Hdfs().make().start()
    running.make_home()
    yield running
    running.remove()


@pytest.fixture(scope="session", autouse=True)
def ray_ends():
    """The Ray that tests share is ended with them."""
    yield
    if runners := sys.modules.get("tests.runners"):
        runners.close_ray()
