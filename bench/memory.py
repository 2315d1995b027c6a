"""Compare the memory for publishing a large wheel and a small one: `python -m bench.memory --size-mb 2048`."""

import argparse
import base64
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from bench.publisher import COMMAND, DIRECT, process_environment
from gar_emulator import Emulator

MIB = 1024 * 1024
MOST = 25 * MIB
"""The limit in bytes for the additional memory of a large file."""

_WATCHED = """
import sys
from gar_publish.cli.main import main
code = main()
print(open("/proc/self/status").read())
sys.exit(code)
"""
"""The command prints its own peak, because on Linux, the peak that a parent gets includes the parent's."""


def main() -> int:
    """Measure, and print the difference.

    Returns:
        1 if it is more than `MOST`.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-mb", type=int, default=2048)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gar-publish-bench-") as scratch:
        small, large = measure(Path(scratch), options.size_mb * MIB)
    print(f"publishing 2 KB: {small / MIB:.1f} MB at most")
    print(f"publishing {options.size_mb} MB: {large / MIB:.1f} MB at most")
    print(f"{(large - small) / MIB:.1f}")
    return int(large - small > MOST)


def measure(folder: Path, size: int) -> tuple[int, int]:
    """Return the peaks of resident memory, in bytes, for publishing 2 KB and `size` bytes."""
    with Emulator(data=folder / "emulator") as emulator:
        small, large = (_peak(emulator, folder / str(each), each) for each in (2048, size))
    return small, large


def _peak(emulator: Emulator, folder: Path, size: int) -> int:
    folder.mkdir()
    wheel = write_wheel(folder, f"1.{size}", size)
    with (folder / "log").open("w") as log:
        done = subprocess.run(
            [sys.executable, "-c", _WATCHED, *COMMAND[3:], *DIRECT, "--dist", wheel.name],
            cwd=folder,
            env=process_environment(emulator, folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            check=False,
        )
    if done.returncode or [each.size for each in emulator.files() if each.filename == wheel.name] != [
        wheel.stat().st_size
    ]:
        raise RuntimeError((folder / "log").read_text())
    wheel.unlink()
    return int(re.findall(r"^VmHWM:\s*(\d+) kB$", done.stdout, re.MULTILINE)[0]) * 1024


def write_wheel(folder: Path, version: str, size: int) -> Path:
    """Write a valid wheel with one member of `size` bytes that cannot be compressed, and return its path."""
    info = f"large-{version}.dist-info"
    path = folder / f"large-{version}-py3-none-any.whl"
    digest = hashlib.sha256()
    with zipfile.ZipFile(path, "w") as wheel:
        with wheel.open("large.bin", "w", force_zip64=True) as member:
            for block in _blocks(size):
                digest.update(block)
                member.write(block)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: large\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        encoded = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
        wheel.writestr(f"{info}/RECORD", f"large.bin,sha256={encoded},{size}\n{info}/RECORD,,\n")
    return path


def _blocks(size: int) -> Iterator[bytes]:
    block = os.urandom(MIB)
    for start in range(0, size, MIB):
        yield block[: size - start]


if __name__ == "__main__":
    sys.exit(main())
