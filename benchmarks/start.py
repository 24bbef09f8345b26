"""How long a command takes from start to exit, beside an interpreter that does nothing; and what an install weighs."""

import argparse
import importlib.metadata
import importlib.util
import os
import re
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.measure import HEADRACE, PYTHON, Usage, in_turn

NOTHING = "python -c pass"

BARE = Path(__file__).parent.parent / "tests" / "bare"
ALONE = ["env", f"PYTHONPATH={BARE}:{os.environ.get('PYTHONPATH', '')}"]
"""Hides pandas, which pyarrow imports where it finds it: `pip install headrace` brings none."""

JOB = """
env {{ job.mode = BATCH }}
source {{ FakeSource {{ row.num = 5, schema {{ fields {{ id = bigint, name = string }} }} }} }}
sink {{ LocalFile {{ path = "{folder}/out", tmp_path = "{folder}/tmp", file_format_type = csv }} }}
"""


def installed() -> dict[str, int]:
    """Package → bytes of its files, for all that `pip install headrace` brings."""
    found: dict[str, int] = {}
    wanted = ["headrace"]
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in found:
            continue
        package = importlib.metadata.distribution(name)
        files = [Path(str(file.locate())) for file in package.files or ()]
        found[name] = sum(file.stat().st_size for file in files if file.exists())
        needed = map(Requirement, package.requires or ())
        wanted += [r.name for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def show(found: dict[str, Usage]) -> None:
    """Milliseconds, and how many times those of the interpreter alone."""
    base = found[NOTHING]
    for name, usage in found.items():
        print(
            f"  {name:<26} {usage.cpu * 1000:7.0f} ms CPU  x {usage.cpu / base.cpu:5.1f}"
            f"   {usage.wall * 1000:7.0f} ms wall   {usage.peak:6.0f} MiB peak"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder, "job.conf")
        job.write_text(JOB.format(folder=folder))
        run = [*HEADRACE, "run", "--quiet", "--runner", "embedded", "--home", f"{folder}/home", str(job)]
        commands = {
            NOTHING: [PYTHON, "-c", "pass"],
            "python -c 'import pyarrow'": [PYTHON, "-c", "import pyarrow"],
            "import headrace": [PYTHON, "-c", "import headrace"],
            "headrace --help": [*HEADRACE, "--help"],
            "headrace run, 5 rows": [*ALONE, *run],
        }
        if importlib.util.find_spec("pandas"):
            commands["the same beside pandas"] = run
        print(f"\nfrom start to exit, medians of {given.runs}")
        show(in_turn(commands, given.runs))
    sizes = installed()
    print(f"\npip install headrace: {sum(sizes.values()) / 1e6:.0f} MB")
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:5]:
        print(f"  {name:<26} {size / 1e6:7.1f} MB")


if __name__ == "__main__":
    main()
