"""Write small distributions without a build backend."""

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"


def make_wheel(
    folder: Path,
    name: str = "sample",
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    content: str = "",
    tag: str = "py3-none-any",
    metadata: str = "",
    files: Mapping[str, str] | None = None,
    entry_points: str = "",
) -> Path:
    """Write a valid wheel with one module, and return its path.

    The same arguments give an identical file. `metadata` replaces the generated METADATA, and `files` the module;
    `entry_points.txt` goes beside METADATA.
    """
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    required = "".join(f"Requires-Dist: {each}\n" for each in requires)
    given = {f"{module}.py": content} if files is None else files
    members = {
        **{f"{info}/{path}" if path == "entry_points.txt" else path: text for path, text in given.items()},
        f"{info}/METADATA": metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    if entry_points:
        members[f"{info}/entry_points.txt"] = entry_points
    record = "".join(f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in members.items():
            wheel.writestr(zipfile.ZipInfo(member), text)
    return path


def make_sdist(folder: Path, filename: str = "sample-1.0.tar.gz", metadata: str = METADATA) -> Path:
    """Write an sdist without code, and return its path."""
    path = folder / filename
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {"PKG-INFO": metadata, "pyproject.toml": ""}.items():
            entry = tarfile.TarInfo(f"sample-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
