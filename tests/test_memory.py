import os
import subprocess
import sys

import pytest

from headrace.memory import MIB, allowed_bytes, parse_size, show_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 << 20), ("2g", 2 << 30), ("1.5 GiB", 3 << 29), ("300MB", 300 << 20), ("2048", 2048), ("64k", 65536)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_size(text) == size


def test_a_share_is_of_what_this_process_is_allowed():
    assert parse_size("50%") == allowed_bytes() // 2
    assert allowed_bytes() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("text", ["", "5X", "-1M", "0", "0%", "101%", "M", "1.2.3M"])
def test_what_is_no_size_is_named_with_the_cure(text):
    with pytest.raises(ValueError, match="is not a size; use 512M, 2G or 50%"):
        parse_size(text)


def test_a_shown_size_is_enough():
    assert (show_size(300 * MIB), show_size(300 * MIB + 1)) == ("300 MiB", "301 MiB")


def test_what_a_process_holds_is_seen():
    holds = (
        "import os; from headrace.memory import resident_bytes; before = resident_bytes(); "
        f"held = os.urandom({64 * MIB}); print(resident_bytes() - before)"
    )  # in a process of its own, which lets go of nothing else meanwhile
    found = subprocess.run([sys.executable, "-c", holds], capture_output=True, text=True, check=True)
    assert int(found.stdout) > 60 * MIB
