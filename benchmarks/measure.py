"""Runs commands as whole processes, in turn, and says what each took: the ratio of medians is what counts."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

PYTHON = sys.executable
HEADRACE = [PYTHON, "-m", "headrace"]


@dataclass(frozen=True)
class Usage:
    """cpu, wall: seconds. peak: MiB of the largest moment of the process."""

    cpu: float
    wall: float
    peak: float


def measure(command: Sequence[str]) -> Usage:
    """One run of a command; raises CalledProcessError when it fails."""
    began = time.monotonic()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # as installed programs run
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024)


def in_turn(commands: dict[str, Sequence[str]], runs: int) -> dict[str, Usage]:
    """Medians of `runs` runs of each command, A B A B …, after one uncounted run of each."""
    found: dict[str, list[Usage]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            usage = measure(command)
            if number:
                found[name].append(usage)
    return {
        name: Usage(*(statistics.median(getattr(u, field) for u in usages) for field in ("cpu", "wall", "peak")))
        for name, usages in found.items()
    }


def report(title: str, rows: int, found: dict[str, Usage], peer: str) -> None:
    """A table of rows per CPU-second, as ratios to the peer."""
    print(f"\n{title}")
    base = rows / found[peer].cpu
    for name, usage in found.items():
        rate = rows / usage.cpu
        print(
            f"  {name:<28} {rate / 1e6:7.3f} M rows/CPU-s  x {rate / base:5.2f}   "
            f"{usage.wall:6.2f} s wall   {usage.peak:6.0f} MiB peak"
        )
