"""Record the state that this version leaves, for the upgrades of later ones: `python tests/upgrade/record.py`.

Once for each release, just before it. Needs what `make setup` makes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from recording import PROGRAM, RECORDED, machine_paths, redacted, scenario, stack

from cloudretry.emulator import Emulator
from cloudretry.plugin.install import install
from cloudretry.version import __version__


def main() -> None:
    folder = RECORDED / __version__
    with tempfile.TemporaryDirectory() as place, Emulator(scenario(retried=False)) as emulator:
        made = stack(Path(place), PROGRAM, emulator.url)
        install(made.home)
        made.up()
        assert set(made.statuses().values()) == {"Succeeded"}
        exported = made.export()
    text = json.dumps(redacted(exported), indent=2) + "\n"
    assert not machine_paths(text), machine_paths(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state.json").write_text(text, encoding="utf-8")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    print(f"recorded {folder.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
