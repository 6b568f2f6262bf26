"""The virtual environment is filled when what it is made from changes, and only then."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from bootstrap.venv import Venv
from bootstrap.work import ProgramError, SetupError, Work


class PipWork(Work):
    """Notes what is run; `python -m venv` leaves an environment with pip."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.ran: list[str] = []
        self.asked_for = ""
        self.pip_says: str | None = None

    def run(self, what: str, command: Any, **_options: Any) -> str:
        self.ran.append(what)
        if what == "python -m venv":
            environment = Path(command[-1])
            pip = environment / "lib/python3/site-packages/pip/__main__.py"
            pip.parent.mkdir(parents=True, exist_ok=True)
            pip.touch()
            (environment / "bin").mkdir(exist_ok=True)
            (environment / "bin/python").touch()
            (environment / "bin/python").chmod(0o755)
            return ""
        self.asked_for = command[-1]
        if self.pip_says is not None:
            raise ProgramError(what, self.pip_says)
        return ""


@pytest.fixture
def work() -> PipWork:
    return PipWork()


def test_a_first_set_up_creates_and_fills_it(working_copy: Path, work: PipWork) -> None:
    Venv(working_copy).make(work)
    assert work.ran == ["python -m venv", "pip install"]


def test_a_second_set_up_runs_nothing(working_copy: Path, work: PipWork) -> None:
    Venv(working_copy).make(work)
    work.ran.clear()
    Venv(working_copy).make(work)
    assert work.ran == []


def test_a_new_dependency_is_installed_into_the_environment_that_is_there(working_copy: Path, work: PipWork) -> None:
    Venv(working_copy).make(work)
    work.ran.clear()
    project = working_copy / "pyproject.toml"
    project.write_text(project.read_text().replace('"pyyaml>=6,<7",', '"pyyaml>=6,<8",'), encoding="utf-8")
    Venv(working_copy).make(work)
    assert work.ran == ["pip install"]


def test_a_new_version_of_the_package_is_installed(working_copy: Path, work: PipWork) -> None:
    Venv(working_copy).make(work)
    work.ran.clear()
    (working_copy / "provider/cloudretry/version.py").write_text('__version__ = "9.9"\n', encoding="utf-8")
    Venv(working_copy).make(work)
    assert work.ran == ["pip install"]


def test_a_lint_setting_installs_nothing(working_copy: Path, work: PipWork) -> None:
    Venv(working_copy).make(work)
    work.ran.clear()
    project = working_copy / "pyproject.toml"
    text = project.read_text()
    project.write_text(text.replace("[tool.pytest.ini_options]\n", "[tool.pytest.ini_options]\nxfail_strict = true\n"))
    assert project.read_text() != text
    Venv(working_copy).make(work)
    assert work.ran == []


def test_what_builds_the_site_is_installed_where_it_is_asked_for(working_copy: Path, work: PipWork) -> None:
    Venv(working_copy).make(work)
    assert work.asked_for == f"{working_copy}[dev,witness]"
    Venv(working_copy, ("docs",)).make(work)
    assert work.asked_for == f"{working_copy}[dev,witness,docs]"
    assert work.ran == ["python -m venv", "pip install", "pip install"]


def test_what_builds_the_site_is_kept_up_to_date_once_it_is_there(working_copy: Path, work: PipWork) -> None:
    Venv(working_copy, ("docs",)).make(work)
    work.ran.clear()
    Venv(working_copy).make(work)
    assert work.ran == []
    (working_copy / "provider/cloudretry/version.py").write_text('__version__ = "9.9"\n', encoding="utf-8")
    Venv(working_copy).make(work)
    assert work.ran == ["pip install"]
    assert work.asked_for.endswith("[dev,witness,docs]")


def test_a_record_of_another_form_counts_for_none(working_copy: Path, work: PipWork) -> None:
    Venv(working_copy).make(work)
    stamp = working_copy / ".venv/made-from.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "extras": ["dev", "witness"]}), encoding="utf-8")
    work.ran.clear()
    Venv(working_copy).make(work)
    assert work.ran == ["pip install"]


def test_in_a_moved_working_copy_it_is_created_anew(working_copy: Path, work: PipWork) -> None:
    Venv(working_copy).make(work)
    work.ran.clear()
    moved = working_copy.rename(working_copy.with_name("moved"))
    Venv(moved).make(work)
    assert work.ran == ["python -m venv", "pip install"]


def test_when_its_python_is_gone_it_is_created_anew(working_copy: Path, work: PipWork) -> None:
    Venv(working_copy).make(work)
    work.ran.clear()
    (working_copy / ".venv/bin/python").unlink()
    Venv(working_copy).make(work)
    assert work.ran == ["python -m venv", "pip install"]


def test_an_installation_that_failed_is_tried_again(working_copy: Path, work: PipWork) -> None:
    work.pip_says = "ERROR: no space left on device"
    with pytest.raises(ProgramError, match="no space left on device"):
        Venv(working_copy).make(work)
    work.pip_says = None
    work.ran.clear()
    Venv(working_copy).make(work)
    assert work.ran == ["pip install"]


def test_a_package_index_out_of_reach_is_named_with_the_remedy(working_copy: Path, work: PipWork) -> None:
    work.pip_says = "WARNING: Retrying after connection broken by 'NewConnectionError(...)'"
    with pytest.raises(SetupError, match=r"pip cannot reach a package index.*PIP_INDEX_URL"):
        Venv(working_copy).make(work)
