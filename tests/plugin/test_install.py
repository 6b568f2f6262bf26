"""`cloudretry plugin install`: where the engine looks, whole or not at all, and only once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import dist
import pytest
from click.testing import CliRunner, Result
from driver import Plugin, jobs, outputs
from google.protobuf import empty_pb2

from cloudretry.cli import main
from cloudretry.emulator import Emulator
from cloudretry.errors import ConfigurationError
from cloudretry.plugin.install import EXECUTABLE, folder_of, install, launcher, uninstall
from cloudretry.version import __version__
from support.pulumi_cli import Stack


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "pulumi"


def plugins(home: Path) -> list[str]:
    return sorted(name for name in os.listdir(home / "plugins") if not name.endswith(".lock"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plugin", *arguments])


def test_the_plugin_is_put_where_the_engine_looks_for_it(home: Path) -> None:
    result = run("install")
    executable = home / f"plugins/resource-cloudretry-v{__version__}/{EXECUTABLE}"
    assert result.exit_code == 0
    assert result.output == f"installed {executable}, which runs {sys.executable}\n"
    assert os.access(executable, os.X_OK)
    assert os.listdir(executable.parent) == [EXECUTABLE]
    assert plugins(home) == [executable.parent.name]


def test_what_was_put_there_serves(home: Path, start: Callable[..., Plugin]) -> None:
    plugin = start(command=[install(home).executable])
    assert plugin.stub.GetPluginInfo(empty_pb2.Empty()).version == __version__


def test_modules_in_the_program_s_folder_are_not_taken_for_ours(
    home: Path, start: Callable[..., Plugin], tmp_path: Path
) -> None:
    (tmp_path / "grpc.py").write_text("raise SystemExit('the wrong module')\n", encoding="utf-8")
    plugin = start(command=[install(home).executable])
    assert plugin.stub.GetPluginInfo(empty_pb2.Empty()).version == __version__


def test_modules_on_the_shell_s_pythonpath_are_not_taken_for_ours(
    home: Path, start: Callable[..., Plugin], tmp_path: Path, emulator: Emulator
) -> None:
    shadows = tmp_path / "shadows"
    shadows.mkdir()
    for name in ("grpc", "pydantic", "secrets"):
        (shadows / f"{name}.py").write_text("raise SystemExit('the wrong module')\n", encoding="utf-8")
    plugin = start(command=[install(home).executable], environment={"PYTHONPATH": str(shadows)})
    plugin.configure(emulator)
    assert outputs(plugin.create({"jobs": jobs("jb1")}))["status"] == "Succeeded"


def test_an_environment_that_is_gone_is_named_with_what_helps(home: Path, tmp_path: Path) -> None:
    gone = tmp_path / "it's gone/bin/python"
    done = subprocess.run(
        [install(home, interpreter=str(gone)).executable], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{gone} is not there any more, and the plugin runs with it" in done.stderr
    assert "'cloudretry plugin install --force'" in done.stderr


def test_on_windows_it_is_a_command_file_of_the_engine_s_second_choice() -> None:
    name, text = launcher(r"C:\50% (x86)\venv\Scripts\python.exe", "win32")
    assert name == f"{EXECUTABLE}.cmd"
    lines = text.split("\r\n")
    assert lines[-1] == ""
    assert 'if exist "C:\\50%% (x86)\\venv\\Scripts\\python.exe" goto run' in lines
    assert '"C:\\50%% (x86)\\venv\\Scripts\\python.exe" -E -P -m cloudretry.plugin.main %*' in lines
    assert not any("chcp" in line for line in lines)
    assert "chcp 65001 >nul" in launcher("C:\\名\\python.exe", "win32")[1]


def test_a_second_time_changes_nothing(home: Path) -> None:
    first = install(home)
    before = first.executable.stat()
    result = run("install")
    assert result.output.startswith("installed already: ")
    assert (before.st_ino, before.st_mtime_ns) == (
        first.executable.stat().st_ino,
        first.executable.stat().st_mtime_ns,
    )


def test_another_installation_is_replaced_only_by_force(home: Path) -> None:
    executable = install(home, interpreter="/elsewhere/python").executable
    (executable.parent / "venv").mkdir()
    result = run("install")
    assert result.exit_code == 2
    assert "--force" in result.output
    assert "/elsewhere/python" in executable.read_text(encoding="utf-8")

    result = run("install", "--force")
    assert result.exit_code == 0
    assert os.listdir(executable.parent) == [EXECUTABLE]
    assert sys.executable in executable.read_text(encoding="utf-8")


def test_an_installation_that_was_cut_off_is_done_again(home: Path) -> None:
    folder = folder_of(home)
    folder.mkdir(parents=True)
    partial = folder.with_name(f"{folder.name}.partial")
    partial.touch()
    assert install(home).changed
    assert not partial.exists()


def test_a_missing_executable_bit_is_mended(home: Path) -> None:
    executable = install(home).executable
    executable.chmod(0o644)
    with pytest.raises(ConfigurationError, match="--force"):
        install(home)
    assert install(home, force=True).changed
    assert os.access(executable, os.X_OK)


def test_an_interpreter_with_any_path_is_run(home: Path, tmp_path: Path, start: Callable[..., Plugin]) -> None:
    folder = tmp_path / 'it\'s a "folder" $HOME'
    folder.mkdir()
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    plugin = start(command=[install(home, interpreter=str(python)).executable])
    assert plugin.port


def test_two_at_the_same_time_leave_one_whole(home: Path) -> None:
    command = [sys.executable, "-m", "cloudretry.cli", "plugin", "install"]
    environment = {**os.environ, "PULUMI_HOME": str(home)}
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(4)
    ]
    output = b"".join(process.communicate(timeout=60)[0] for process in running)
    assert [process.returncode for process in running] == [0] * 4, output
    assert plugins(home) == [folder_of(home).name]
    assert os.listdir(folder_of(home)) == [EXECUTABLE]


def test_a_home_that_cannot_be_written_is_named(home: Path) -> None:
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file", encoding="utf-8")
    result = run("install")
    assert result.exit_code == 2
    assert str(home / "plugins") in result.output
    assert "Traceback" not in result.output


def test_an_executable_on_path_that_would_be_taken_instead_is_named(home: Path, tmp_path: Path) -> None:
    ambient = tmp_path / "bin" / EXECUTABLE
    ambient.parent.mkdir()
    ambient.write_text("#!/bin/sh\n", encoding="utf-8")
    ambient.chmod(0o755)
    assert f"The engine will take {ambient} instead" in run("install").output


def test_uninstalling_removes_this_version_or_every_one(home: Path) -> None:
    folder = install(home).executable.parent
    older = folder_of(home, "0.0.1")
    other = home / "plugins/resource-cloudretrying-v1.0.0"
    for path in (older, other):
        path.mkdir()
    assert run("uninstall").output == f"removed {folder}\n"
    assert sorted(os.listdir(home / "plugins")) == [older.name, other.name]
    assert run("uninstall", "--all").output == f"removed {older}\n"
    assert run("uninstall").output == f"there is nothing at {folder}\n"
    assert uninstall(home, every_version=True) == []
    assert other.is_dir()


# --- through the engine -----------------------------------------------------------------------------------------------

PROGRAM = """
import pulumi_cloudretry as cloudretry

cloudretry.drs.JobBatchRetry("replication", jobs=[{"job_id": "140b5236-88ad-43c8-811c-1268453jb101"}])
"""


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    program = tmp_path / "program"
    program.mkdir()
    (program / "Pulumi.yaml").write_text("name: plain\nruntime: python\n", encoding="utf-8")
    (program / "__main__.py").write_text(PROGRAM, encoding="utf-8")
    return Stack(tmp_path, program)


@pytest.mark.engine
def test_the_engine_finds_what_was_installed_and_has_nothing_to_say_about_it(stack: Stack) -> None:
    install(stack.home)
    stack.configure(emulator="embedded")
    screen = stack.up()
    assert stack.statuses() == {"replication": "Succeeded"}
    assert "$PATH" not in screen
    warnings = {line.partition("warning: ")[2] for line in screen.splitlines() if "warning: " in line}
    assert warnings == {"cloudretry:emulator is set (embedded): no real cloud is called."}
    uninstall(stack.home)
    assert "no resource plugin" in stack.up(fails=True)


@pytest.mark.engine
def test_the_release_archive_is_installed_by_the_cli(
    stack: Stack, tmp_path: Path, start: Callable[..., Plugin]
) -> None:
    wheel = dist.build_packages(tmp_path)
    archive = tmp_path / "plugin.tar.gz"
    archive.write_bytes(dist.plugin_archive(wheel))
    with tarfile.open(archive) as tar:
        assert set(tar.getnames()) == {
            "LICENSE",
            "PulumiPlugin.yaml",
            "__main__.py",
            EXECUTABLE,
            "requirements.txt",
            wheel.name,
        }
    # The package itself, but not again everything that it needs: that is in the environment of the tests.
    stack.environment["PIP_NO_DEPS"] = "1"
    stack.run("plugin", "install", "resource", "cloudretry", __version__, "--file", str(archive))
    needed = subprocess.run(
        [sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    folder = folder_of(stack.home)
    (site_packages,) = folder.glob("**/site-packages")
    (site_packages / "needed.pth").write_text(needed.stdout, encoding="utf-8")
    stack.configure(emulator="embedded")
    screen = stack.up()
    assert stack.statuses() == {"replication": "Succeeded"}
    assert "$PATH" not in screen

    # As the CLI's Python support runs a plugin, which is how `pulumi package` does.
    plugin = start(command=[folder / "bin/python", folder])
    assert plugin.stub.GetPluginInfo(empty_pb2.Empty()).version == __version__
    plugin.stop()

    shutil.rmtree(folder / "bin")
    ended = subprocess.run([folder / EXECUTABLE], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"the virtual environment in {folder} is missing" in ended.stderr
    assert ended.stdout == ""
