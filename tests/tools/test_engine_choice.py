"""Where the Pulumi engine is taken from, and that it is made once."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest
from bootstrap import engine as engine_module
from bootstrap.engine import OLDEST_CLI, Engine
from bootstrap.venv import Venv
from bootstrap.work import ProgramError, SetupError, Work

from .conftest import Programs

BUILT = {
    "gensdk",
    "pulumi",
    "pulumi-language-nodejs",
    "pulumi-language-python",
    "pulumi-language-python-exec",
    "pulumi-resource-pulumi-nodejs",
    "pulumi-resource-pulumi-python",
}


def make(root: Path, work: Work | None = None) -> str:
    """Make the engine of root and return what was said."""
    said = io.StringIO()
    made = threading.Event()
    made.set()
    Engine(root, Venv(root)).make(work or Work(said), made)
    return said.getvalue()


def in_bin(root: Path) -> set[str]:
    folder = root / ".engine" / "bin"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def cli(programs: Programs, version: str, *, with_host: bool = True) -> Path:
    if with_host:
        programs.add("pulumi-language-python", "")
    return programs.add("pulumi", f"print({version!r})")


def test_without_a_cli_the_engine_is_built_from_source(working_copy: Path, go: Programs) -> None:
    make(working_copy)
    assert in_bin(working_copy) == BUILT


def test_the_built_cli_knows_the_version_that_go_mod_pins(working_copy: Path, go: Programs) -> None:
    make(working_copy)
    (built,) = (call for call in go.calls("go build") if "cmd/pulumi " in call)
    assert "version.Version=v3.276.0" in built


def test_a_second_set_up_starts_no_program(working_copy: Path, go: Programs) -> None:
    make(working_copy)
    calls = go.calls("")
    make(working_copy)
    assert go.calls("") == calls


def test_a_changed_source_is_built_again(working_copy: Path, go: Programs) -> None:
    make(working_copy)
    before = len(go.calls("go build"))
    (working_copy / "tools/engine/cli/gensdk/main.go").write_text("package main\n", encoding="utf-8")
    make(working_copy)
    assert len(go.calls("go build")) == 2 * before


def test_two_set_ups_at_once_build_once(working_copy: Path, go: Programs) -> None:
    make_both = [threading.Thread(target=make, args=(working_copy,)) for _ in range(2)]
    for thread in make_both:
        thread.start()
    for thread in make_both:
        thread.join()
    assert len([call for call in go.calls("go build") if "cmd/pulumi " in call]) == 1


def test_a_build_that_was_cut_off_is_made_good_by_the_next_run(working_copy: Path, go: Programs) -> None:
    half_made = working_copy / ".engine" / "stage-1-1"
    half_made.mkdir(parents=True)
    (half_made / "pulumi").write_text("half", encoding="utf-8")
    make(working_copy)
    assert in_bin(working_copy) == BUILT
    assert not list((working_copy / ".engine").glob("stage-*"))


def test_a_failed_build_shows_the_compiler_s_words_and_is_not_taken_for_made(working_copy: Path, go: Programs) -> None:
    working = (go.folder / "go").read_text(encoding="utf-8")
    go.add("go", "print('go1.27.1\\nlocal'); sys.exit('syntax error' if sys.argv[1] == 'build' else 0)")
    with pytest.raises(ProgramError, match="syntax error"):
        make(working_copy)
    (go.folder / "go").write_text(working, encoding="utf-8")
    make(working_copy)
    assert in_bin(working_copy) == BUILT


def test_modules_out_of_reach_are_named_with_the_remedy(working_copy: Path, programs: Programs) -> None:
    programs.add(
        "go",
        "print('go1.27.1\\nlocal'); sys.exit('x: dial tcp: lookup proxy: no such host' if 'build' in sys.argv else 0)",
    )
    with pytest.raises(SetupError, match=r"Go cannot fetch modules.*GOPROXY"):
        make(working_copy)


def test_a_cli_on_path_that_is_new_enough_is_used(working_copy: Path, programs: Programs) -> None:
    found = cli(programs, "v3.230.0")
    assert f"using Pulumi 3.230.0 from {found}" in make(working_copy)
    assert in_bin(working_copy) == set()


def test_a_cli_on_path_takes_the_place_of_one_that_was_built(working_copy: Path, go: Programs) -> None:
    make(working_copy)
    cli(go, "v3.240.0")
    (working_copy / "tools/engine/cli/gensdk/main.go").write_text("package main\n", encoding="utf-8")
    make(working_copy)
    assert in_bin(working_copy) == set()


def test_a_cli_on_path_is_asked_for_its_version_only_once(working_copy: Path, programs: Programs) -> None:
    cli(programs, "v3.230.0")
    make(working_copy)
    asked = programs.calls("pulumi version")
    make(working_copy)
    assert programs.calls("pulumi version") == asked


def test_when_the_cli_on_path_changes_the_choice_is_made_again(working_copy: Path, go: Programs) -> None:
    cli(go, "v3.230.0")
    make(working_copy)
    cli(go, "v3.99.0  ")
    assert "older than 3.230.0" in make(working_copy)
    assert in_bin(working_copy) == BUILT


def test_a_cli_on_path_that_is_too_old_is_passed_over_with_the_reason(working_copy: Path, go: Programs) -> None:
    found = cli(go, "v3.229.0")
    assert f"{found} is version 3.229.0, older than 3.230.0; it is not used" in make(working_copy)
    assert in_bin(working_copy) == BUILT


def test_a_cli_on_path_without_a_python_host_is_passed_over_with_the_reason(working_copy: Path, go: Programs) -> None:
    cli(go, "v3.240.0", with_host=False)
    assert "comes without pulumi-language-python; it is not used" in make(working_copy)
    assert in_bin(working_copy) == BUILT


def test_a_cli_that_only_fails_is_passed_over(working_copy: Path, go: Programs) -> None:
    go.add("pulumi", "sys.exit(1)")
    assert "does not tell its version; it is not used" in make(working_copy)


def test_the_engine_of_the_working_copy_is_not_taken_for_one_of_the_machine(
    working_copy: Path, go: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Programs(working_copy / ".engine" / "bin")
    cli(own, "v3.230.0")
    monkeypatch.setenv("PATH", f"{own.folder}:{go.folder}")
    assert "building the Pulumi engine from source" in make(working_copy)


class InstallerWork(Work):
    """Stands in for Pulumi's installer: writes a CLI, or fails."""

    def __init__(self, out: io.StringIO, *, works: bool) -> None:
        super().__init__(out)
        self.works = works

    def run(self, what: str, command: Any, **options: Any) -> str:
        if what != "Pulumi's installer":
            return super().run(what, command, **options)
        if not self.works:
            raise ProgramError(what, "404")
        target = Path(command[-1]) / "bin"
        target.mkdir()
        (target / "pulumi").write_text("downloaded", encoding="utf-8")
        (target / "pulumi").chmod(0o755)
        return ""


def test_where_its_host_can_be_reached_pulumi_s_installer_is_used(
    working_copy: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_installer_is_reachable", lambda: True)
    make(working_copy, InstallerWork(io.StringIO(), works=True))
    assert in_bin(working_copy) == {"pulumi"}
    assert Engine(working_copy, Venv(working_copy)).is_fresh()


def test_an_installer_that_fails_gives_way_to_the_build(
    working_copy: Path, go: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_installer_is_reachable", lambda: True)
    make(working_copy, InstallerWork(io.StringIO(), works=False))
    assert in_bin(working_copy) == BUILT


def test_the_sdk_generator_is_built_for_a_cli_on_path_only_when_asked_for(working_copy: Path, go: Programs) -> None:
    cli(go, "v3.240.0")
    make(working_copy)
    gensdk = Engine(working_copy, Venv(working_copy)).make_gensdk(Work(io.StringIO()))
    assert in_bin(working_copy) == {"gensdk"}
    assert gensdk == working_copy / ".engine/bin/gensdk"


def test_the_oldest_supported_engine_is_built_beside_the_one_that_was_chosen(working_copy: Path, go: Programs) -> None:
    cli(go, ".".join(map(str, OLDEST_CLI)))
    make(working_copy)
    engine = Engine(working_copy, Venv(working_copy))
    engine.make_oldest(Work(io.StringIO()))
    assert {path.name for path in engine.oldest.iterdir()} == BUILT - {"gensdk"}
    assert in_bin(working_copy) == set()
    calls = go.calls("")
    engine.make_oldest(Work(io.StringIO()))
    assert go.calls("") == calls


def test_without_go_the_set_up_says_what_cannot_be_built_though_a_cli_is_there(
    working_copy: Path, programs: Programs
) -> None:
    cli(programs, "v3.240.0")
    engine = Engine(working_copy, Venv(working_copy))
    with pytest.raises(
        SetupError, match=r"the SDK generator is built from source, and there is no Go\. Install Go [\d.]+"
    ):
        engine.make_gensdk(Work(io.StringIO()))
    with pytest.raises(SetupError, match=r"the oldest supported Pulumi engine is built from source"):
        engine.make_oldest(Work(io.StringIO()))


def test_the_oldest_engine_that_is_tested_is_the_oldest_that_is_taken(working_copy: Path, go: Programs) -> None:
    Engine(working_copy, Venv(working_copy)).make_oldest(Work(io.StringIO()))
    (built,) = (call for call in go.calls("go build") if "cmd/pulumi " in f"{call} ")
    assert f"version.Version=v{'.'.join(map(str, OLDEST_CLI))} " in built


@pytest.mark.parametrize(
    ("version", "toolchain", "fault"),
    [
        ("go1.27", "local", None),
        ("go1.26.6", "local", None),
        ("go1.26.5", "local", "Go 1.26.5 is too old.*Install Go 1.26.6 or newer, or the Pulumi CLI 3.230.0"),
        ("go1.22.2", "auto", None),
        ("go1.20.14", "", "Go 1.20.14 is too old"),
    ],
)
def test_a_go_that_is_too_old_and_fetches_no_newer_one_is_named_at_once(
    working_copy: Path, programs: Programs, version: str, toolchain: str, fault: str | None
) -> None:
    programs.add("go", f"print({version!r}); print({toolchain!r})")
    engine = Engine(working_copy, Venv(working_copy))
    if fault is None:
        engine.require_a_way()
    else:
        with pytest.raises(SetupError, match=fault):
            engine.require_a_way()
