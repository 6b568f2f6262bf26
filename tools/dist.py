"""Build what a release consists of, in dist/: `make dist`.

Beside the wheel and the sdist there is an archive for `pulumi plugin install resource cloudretry VERSION --file FILE`.
It holds the wheel, and a `PulumiPlugin.yaml` by which the CLI's own Python support makes a virtual environment for it
when it is installed. An `up` starts the executable; `pulumi package` lets the Python support run the folder, that is
`__main__.py`. It runs wherever Python does, so the archives of all platforms are the same: the CLI looks for one under
its platform's name.
"""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from cloudretry.plugin.install import EXECUTABLE, FLAGS
from cloudretry.version import __version__

ROOT = Path(__file__).resolve().parents[1]
PLATFORMS = ("darwin-amd64", "darwin-arm64", "linux-amd64", "linux-arm64", "windows-amd64")

MANIFEST = """\
runtime:
  name: python
  options:
    toolchain: pip
    virtualenv: venv
"""

MAIN = """\
from cloudretry.plugin.main import main

main()
"""

# Older Python hosts of the CLI know no options: they make the folder itself a virtual environment. Windows cannot run
# this: there the CLI runs `__main__.py` with the environment that it has made.
LAUNCHER = f"""\
#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
for environment in "$here/venv" "$here"; do
    if [ -x "$environment/bin/cloudretry" ]; then
        exec "$environment/bin/python" {FLAGS} -m cloudretry.plugin.main "$@"
    fi
done
echo "cloudretry: the virtual environment in $here is missing. Put the plugin there again with" \\
    "'pulumi plugin install resource cloudretry {__version__} --reinstall --file FILE'" >&2
exit 1
"""


def build_packages(into: Path) -> Path:
    """Build the sdist and the wheel; returns the wheel."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        requires = tomllib.load(file)["build-system"]["requires"]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *requires], check=True)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(into)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    (wheel,) = into.glob(f"*-{__version__}-*.whl")
    return wheel


def plugin_archive(wheel: Path) -> bytes:
    """The archive that the CLI installs; the same bytes for the same wheel."""
    files: Mapping[str, tuple[bytes, int]] = {
        "LICENSE": ((ROOT / "LICENSE").read_bytes(), 0o644),
        "PulumiPlugin.yaml": (MANIFEST.encode(), 0o644),
        "__main__.py": (MAIN.encode(), 0o644),
        EXECUTABLE: (LAUNCHER.encode(), 0o755),
        wheel.name: (wheel.read_bytes(), 0o644),
        "requirements.txt": (f"./{wheel.name}\n".encode(), 0o644),
    }
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
    ):
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def main() -> int:
    """Build everything and say what there is."""
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    wheel = build_packages(dist)
    archive = plugin_archive(wheel)
    for platform in PLATFORMS:
        (dist / f"{EXECUTABLE}-v{__version__}-{platform}.tar.gz").write_bytes(archive)
    for path in sorted(dist.glob(f"*{__version__}*")):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
