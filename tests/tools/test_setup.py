"""The commands that a person types: what is missing is one clear line with the remedy, and exit code 1."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bootstrap.venv import Venv

from .conftest import NOWHERE, Programs, environment


def setup(root: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / "tools/setup.py", *arguments],
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_go_and_pulumi_the_remedy_is_one_line(working_copy: Path, programs: Programs) -> None:
    ended = setup(working_copy)
    assert ended.returncode == 1
    assert ended.stderr == (
        "setup: there is no Pulumi CLI to use, none can be downloaded here, and no Go to build one. "
        "Install Go 1.26.6 or newer, or the Pulumi CLI 3.230.0 or newer, and run it again.\n"
    )
    assert not (working_copy / ".venv").exists()


def test_a_python_that_is_too_old_is_told_which_one_is_needed(working_copy: Path) -> None:
    program = (
        "import runpy, sys; sys.version_info = (3, 10, 4); "
        f"runpy.run_path({str(working_copy / 'tools/setup.py')!r}, run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        "setup: Python 3.10 is too old: 3.11 or newer is needed. Name one with `make PYTHON=python3.12 ...`.\n"
    )


def test_a_python_without_the_venv_module_is_told_how_to_get_it(working_copy: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "ensurepip.py").write_text("raise ModuleNotFoundError(name='ensurepip')\n", encoding="utf-8")
    ended = setup(working_copy, "--no-engine", PYTHONPATH=str(broken))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "has no ensurepip module" in line
    assert "apt install python3-venv" in line


def test_without_a_network_pip_s_trouble_is_one_line(working_copy: Path) -> None:
    ended = setup(
        working_copy,
        "--no-engine",
        PIP_INDEX_URL=f"{NOWHERE}/simple",
        PIP_FIND_LINKS="",
        PIP_RETRIES="0",
        PIP_NO_CACHE_DIR="1",
        PIP_CONFIG_FILE=os.devnull,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("setup: pip cannot reach a package index. Connect to the network")


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_without_a_network_go_s_trouble_is_one_line(working_copy: Path, tmp_path: Path) -> None:
    make_venv_look_filled(working_copy)
    go = shutil.which("go") or ""
    ended = setup(
        working_copy,
        "--gensdk",
        "--no-engine",
        PATH=str(Path(go).parent),
        GOPROXY=NOWHERE,
        GOMODCACHE=str(tmp_path / "modules"),
        GOFLAGS="",
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("setup: Go cannot fetch modules. Connect to the network")


def make_venv_look_filled(root: Path) -> None:
    """Leave pip out of a test."""
    venv = Venv(root)
    (venv.path / "bin").mkdir(parents=True, exist_ok=True)
    venv.python.touch()
    venv.python.chmod(0o755)
    (venv.path / "made-from.json").write_text(json.dumps(venv._wanted()), encoding="utf-8")


@pytest.fixture
def heeded_sigint() -> Iterator[None]:
    """A job in the background of a script, as CI may be, hands on to its children that Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_sigint")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_build_and_the_next_run_goes_on(working_copy: Path, go: Programs, number: int) -> None:
    make_venv_look_filled(working_copy)
    working = (go.folder / "go").read_text(encoding="utf-8")
    go.add(
        "go",
        f"""
if sys.argv[1] == "env":
    print("go1.27.1\\nlocal")
else:
    Path({str(working_copy)!r}, f"started{{os.getpid()}}").touch()
    import time
    time.sleep(600)
""",
    )
    with subprocess.Popen(
        [sys.executable, working_copy / "tools/setup.py"], stderr=subprocess.PIPE, text=True
    ) as process:
        while len(builds := list(working_copy.glob("started*"))) < 2:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said.endswith("setup: interrupted; the next run goes on from here\n")
    for build in builds:
        with pytest.raises(ProcessLookupError):
            os.kill(int(build.name.removeprefix("started")), 0)
    (go.folder / "go").write_text(working, encoding="utf-8")
    assert setup(working_copy).returncode == 0
    assert (working_copy / ".engine/bin/pulumi").exists()


def test_the_printed_lines_put_environment_and_engine_first_on_path_and_the_plugin_last(
    working_copy: Path, go: Programs
) -> None:
    awkward = working_copy.rename(working_copy.with_name('it\'s a "$folder"'))
    make_venv_look_filled(awkward)
    printed = setup(awkward, "--print-env")
    assert printed.returncode == 0, printed.stderr
    shell = subprocess.run(
        ["/bin/sh", "-c", 'eval "$1"; echo "$PATH"; echo "$PULUMI_SKIP_UPDATE_CHECK"', "sh", printed.stdout],
        env={"PATH": "/before"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout == f"{awkward}/.venv/bin:{awkward}/.engine/bin:/before:{awkward}/provider\ntrue\n"


def test_the_printed_lines_leave_login_and_passphrase_alone(working_copy: Path, go: Programs) -> None:
    make_venv_look_filled(working_copy)
    printed = json.loads(setup(working_copy, "--print-env", "json").stdout)
    assert printed == {
        "path": [f"{working_copy}/.venv/bin", f"{working_copy}/.engine/bin"],
        "values": {"PULUMI_SKIP_UPDATE_CHECK": "true"},
    }


@pytest.fixture
def stubbed(working_copy: Path) -> Programs:
    """A working copy whose set-up and tools only note that they were called."""
    (working_copy / "tools/setup.py").write_text(
        "import sys\nfrom pathlib import Path\n"
        "with (Path(__file__).parents[1] / '.venv/bin/calls').open('a') as calls:\n"
        "    print('setup', *sys.argv[1:], file=calls)\n",
        encoding="utf-8",
    )
    tools = Programs(working_copy / ".venv/bin")
    for tool in ("ruff", "mypy"):
        tools.add(tool, "")
    return tools


def ci(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / ".ci/run"], env=environment(CI="true", MAKEFLAGS=""), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("code", [1, 2, 5])
def test_ci_fails_when_pytest_fails_or_finds_no_test(working_copy: Path, stubbed: Programs, code: int) -> None:
    stubbed.add("pytest", f"sys.exit({code})")
    assert ci(working_copy).returncode != 0


def test_ci_runs_lint_types_and_every_test_with_nobody_at_the_keyboard(working_copy: Path, stubbed: Programs) -> None:
    stubbed.add("pytest", "print(f'typed: {sys.stdin.read()!r}'); print('3 passed')")
    ended = ci(working_copy)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("typed: ''\n3 passed\n")
    ran = [call if call.startswith("setup") else " ".join(call.split()[:2]) for call in stubbed.calls("")]
    assert ran == [
        "setup --docs --gensdk --oldest-engine",
        "setup --no-engine --docs",
        "ruff check",
        "ruff format",
        "mypy",
        "mypy tools",
        "mypy --platform",
        "mypy --platform",
        "pytest -n",
    ]


def test_ci_fails_when_lint_fails(working_copy: Path, stubbed: Programs) -> None:
    stubbed.add("pytest", "")
    stubbed.add("ruff", "sys.exit(1)")
    assert ci(working_copy).returncode != 0
    assert stubbed.calls("pytest") == []


def test_the_sdks_need_the_generator_and_no_engine(working_copy: Path, stubbed: Programs) -> None:
    stubbed.add("python", "")
    subprocess.run(["make", "-C", working_copy, "sdk"], env=environment(MAKEFLAGS=""), check=True)
    assert stubbed.calls("") == ["setup --no-engine --gensdk", "python tools/sdk.py"]


def test_the_fast_tests_need_no_engine(working_copy: Path, stubbed: Programs) -> None:
    stubbed.add("pytest", "")
    subprocess.run(["make", "-C", working_copy, "test-fast"], env=environment(MAKEFLAGS=""), check=True)
    assert set(stubbed.calls("setup")) == {"setup --no-engine --docs"}
    (ran,) = stubbed.calls("pytest")
    assert ran.endswith("-m not engine")
