"""From Ctrl-C to the end of the process, for plugins that never return from one of their calls. Promised: 5 s."""

import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.execution.runs import Run
from tests.execution.test_cancel import AT_ONCE, HOLDING, ON_THE_WAY, THE_REST, has_checkpoint, is_stuck, text_of


def seconds(runner: str, case: tuple[str, str, str]) -> float:
    """One run."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run = Run(folder, text_of(folder, *case), "--runner", runner, HEADRACE_WORKERS="1")
        try:
            run.until(lambda: has_checkpoint(run) if case in ON_THE_WAY else is_stuck(run))
            time.sleep(1)
            began = time.monotonic()
            run.process.send_signal(signal.SIGINT)
            run.process.wait(60)
            return time.monotonic() - began
        finally:
            run.kill()


def main() -> None:
    """Measure and print, the longest at the end."""
    for runner in ("embedded", "processes"):
        found = {case: seconds(runner, case) for case in (*AT_ONCE, *THE_REST, *ON_THE_WAY, HOLDING)}
        for case, took in found.items():
            print(f"  --runner {runner:<10} {' '.join(case):<34} {took:5.2f} s")
        print(f"--runner {runner}: {max(found.values()):.2f} s at most", flush=True)


if __name__ == "__main__":
    main()
