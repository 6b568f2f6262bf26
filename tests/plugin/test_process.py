"""The process as such: the port, the end, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from driver import COMMAND, DRS, ROOT, EngineLog, Plugin, StatusServer, init_failed, jobs, outputs, refused
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, plugin_pb2, provider_pb2

from cloudretry.emulator import Emulator
from cloudretry.version import __version__
from support.proxy import Proxy

Start = Callable[..., Plugin]


def test_nothing_but_the_port_is_printed(start: Start, emulator: Emulator, engine: EngineLog) -> None:
    plugin = start(engine=engine)
    plugin.configure(emulator)
    plugin.create({"jobs": jobs("jb1")})
    init_failed(plugin.create, {"jobs": jobs("refused")})
    plugin.stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address=engine.address))
    assert plugin.stop() == 0
    assert plugin.printed() == ("", "")


def test_what_libraries_print_stays_off_the_pipe_that_the_engine_reads(tmp_path: Path) -> None:
    noisy = "import cloudretry.plugin.main as m, builtins; m.PARENT_CHECK = 0.01\n"
    noisy += "import asyncio, os\nasync def say(parent): print('noise', flush=True); os.write(1, b'raw noise\\n')\n"
    noisy += "m._gone = say\nm.main()"
    ended = subprocess.run([sys.executable, "-c", noisy], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout.strip().isdecimal()
    assert ended.stderr.splitlines() == ["noise", "raw noise"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once(start: Start, emulator: Emulator, number: int) -> None:
    plugin = start()
    plugin.configure(emulator)
    begun = time.monotonic()
    assert plugin.stop(number) == 0
    assert time.monotonic() - begun < 3.0


def test_a_signal_ends_a_wait_and_its_outputs_still_arrive(start: Start, emulator: Emulator) -> None:
    plugin = start()
    plugin.configure(emulator)
    creating = plugin.create_later({"jobs": jobs("stuck")})
    _until(lambda: emulator.requests("BatchListJobStatus"))
    plugin.process.send_signal(signal.SIGTERM)
    failed = init_failed(creating.result)
    assert failed.outputs["status"] == "InProgress"
    assert plugin.stop() == 0


def test_a_call_that_is_under_way_when_the_process_is_ended_is_taken_up(start: Start, emulator: Emulator) -> None:
    plugin = start()
    plugin.configure(emulator, journalEnabled=True)
    creating = plugin.create_later({"jobs": jobs("stuck")})
    _until(lambda: emulator.requests("BatchListJobStatus"))
    assert plugin.stop(signal.SIGINT) == 0

    following = start()
    following.configure(emulator, journalEnabled=True)
    creating = following.create_later({"jobs": jobs("stuck")})
    looked = len(emulator.requests("BatchListJobStatus"))
    _until(lambda: len(emulator.requests("BatchListJobStatus")) > looked)
    following.cancel()
    assert init_failed(creating.result).outputs["status"] == "InProgress"
    assert len(emulator.requests("BatchRestoreTask")) == 1


@pytest.fixture
def status() -> Iterator[StatusServer]:
    server = StatusServer()
    yield server
    server.stop()


def up(start: Start, emulator: Emulator, status: StatusServer | None) -> Plugin:
    """A create by a process of its own."""
    plugin = start()
    plugin.configure(emulator, journalEnabled=True)
    plugin.create_later({"jobs": jobs("jb1")}, status=status).result()
    return plugin


def fires(emulator: Emulator) -> int:
    return len(emulator.requests("BatchRestoreTask"))


@pytest.mark.parametrize("end", ["SIGKILL", "SIGINT", "Cancel and SIGINT"])
def test_what_the_engine_acknowledges_is_settled_however_the_process_ends(
    start: Start, emulator: Emulator, status: StatusServer, end: str
) -> None:
    plugin = up(start, emulator, status)
    _until(lambda: status.asked >= 2)
    status.save()
    _until(lambda: is_saved(plugin))
    if end.startswith("Cancel"):
        plugin.cancel()
    plugin.stop(signal.SIGKILL if end == "SIGKILL" else signal.SIGINT)
    up(start, emulator, status)
    assert fires(emulator) == 2


@pytest.mark.parametrize("cancels", [0, 1], ids=["up to 3.230", "from 3.231 on"])
def test_an_ordinary_end_settles_what_the_engine_was_handed(
    start: Start, emulator: Emulator, status: StatusServer, cancels: int
) -> None:
    plugin = up(start, emulator, status)
    status.stop()
    for _ in range(cancels):
        plugin.cancel()
    assert plugin.stop(signal.SIGINT) == 0
    up(start, emulator, None)
    assert fires(emulator) == 2


@pytest.mark.parametrize("end", ["terminated", "killed", "no status", "cancelled before the answer", "skipped"])
def test_what_nobody_acknowledges_asks_for_a_word(
    start: Start, emulator: Emulator, status: StatusServer, end: str
) -> None:
    """The engine may have saved it or not: neither a second fire nor none is right."""
    environment = {"PULUMI_SKIP_CHECKPOINTS": "true"} if end == "skipped" else {}
    plugin = start(environment=environment)
    plugin.configure(emulator, journalEnabled=True)
    if end == "cancelled before the answer":
        emulator.add_fault("BatchRestoreTask", delay=0.5)
    creating = plugin.create_later({"jobs": jobs("jb1"), "wait": False}, status=None if end == "no status" else status)
    if end == "cancelled before the answer":
        _until(lambda: emulator.requests("BatchRestoreTask"))
        plugin.cancel()
    creating.result()
    if end in ("skipped", "cancelled before the answer"):
        status.save()
    if end == "skipped":
        status.stop()
    plugin.stop(signal.SIGKILL if end == "killed" else signal.SIGINT)

    following = start()
    following.configure(emulator, journalEnabled=True)
    code, words = refused(following.create, {"jobs": jobs("jb1"), "wait": False})
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "--taken-up" in words
    assert "--fire" in words
    assert fires(emulator) == 1


def test_an_update_that_shows_the_state_settles_what_nobody_acknowledged(start: Start, emulator: Emulator) -> None:
    plugin = start()
    plugin.configure(emulator, journalEnabled=True)
    created = outputs(plugin.create({"jobs": jobs("jb1")}))
    plugin.stop(signal.SIGKILL)
    seeing = start()
    seeing.configure(emulator, journalEnabled=True)
    assert seeing.diff(created, {"jobs": jobs("jb1")}).changes == provider_pb2.DiffResponse.DIFF_NONE
    seeing.stop()
    up(start, emulator, None)
    assert fires(emulator) == 2


def is_saved(plugin: Plugin) -> bool:
    return any('"saved":["' in path.read_text() for path in (plugin.folder / "home").rglob("places/*/0*"))


def test_it_ends_by_itself_when_the_engine_dies(tmp_path: Path) -> None:
    engine = f"import subprocess as s; p = s.Popen({list(COMMAND)!r}); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", engine], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as parent:
        assert parent.stdout is not None
        lines = {parent.stdout.readline(), parent.stdout.readline()}
        # Whichever is first: the port or the process id. Both are numbers, and only one is a running process of ours.
        pid = next(int(line) for line in lines if _is_plugin(int(line)))
        parent.kill()
    _until(lambda: not _is_plugin(pid), 10.0)


def test_a_wait_does_not_keep_it_alive_when_the_engine_dies(tmp_path: Path, emulator: Emulator) -> None:
    engine = f"import subprocess; subprocess.run({list(COMMAND)!r})"
    plugin = Plugin(tmp_path, command=(sys.executable, "-c", engine))
    plugin.configure(emulator)
    creating = plugin.create_later({"jobs": jobs("stuck")})
    _until(lambda: emulator.requests("BatchListJobStatus"))
    plugin.process.kill()
    failed = init_failed(creating.result)
    assert failed.outputs["status"] == "InProgress"
    _until(lambda: not _answers(plugin), 10.0)
    plugin.stop()
    plugin.printed()


def test_two_of_them_with_different_accounts_work_side_by_side(start: Start, emulator: Emulator) -> None:
    project = "1" * 32
    emulator.set_scenario(
        {
            "projects": [{"id": project, "name": "eu-de_other"}],
            "drsJobs": [
                {"id": "jb1", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["FULL_TRANSFER_STARTED", 0]]},
                {
                    "id": "jb1",
                    "project": project,
                    "state": "FULL_TRANSFER_FAILED",
                    "afterRetry": [["FULL_TRANSFER_STARTED", 0]],
                },
            ],
        }
    )
    one, other = start(), start()
    one.configure(emulator)
    other.configure(emulator, huaweicloud={"projectId": project})
    created = other.create({"jobs": jobs("jb1")})
    assert outputs(created)["projectId"] == project
    assert [target.times_fired for target in emulator.targets("drsJob") if target.project == project] == [1]
    assert outputs(one.create({"jobs": jobs("jb1")}))["projectId"] != project
    assert [target.times_fired for target in emulator.targets("drsJob")] == [1, 1]


def test_the_executable_of_the_checkout_serves_whatever_is_on_pythonpath(start: Start, tmp_path: Path) -> None:
    (tmp_path / "grpc.py").write_text("raise SystemExit('the wrong module')\n", encoding="utf-8")
    executable = ROOT / "provider/pulumi-resource-cloudretry"
    plugin = start(command=[executable], environment={"PYTHONPATH": str(tmp_path)})
    assert plugin.stub.GetPluginInfo(empty_pb2.Empty()).version == __version__


def test_arguments_of_the_engine_beside_its_address_are_passed_over(start: Start, emulator: Emulator) -> None:
    engine = EngineLog()
    plugin = start(command=[*COMMAND, "--logtostderr", "-v=9", engine.address])
    plugin.configure(emulator)
    assert [line for line in engine.messages(2) if "no real cloud" in line]
    engine.stop()


def test_it_can_be_attached_to_an_engine(start: Start, emulator: Emulator, engine: EngineLog) -> None:
    plugin = start()
    plugin.stub.Attach(plugin_pb2.PluginAttach(address=engine.address))
    plugin.configure(emulator)
    assert engine.lines


def test_words_for_the_engine_never_go_through_a_proxy(start: Start, emulator: Emulator, engine: EngineLog) -> None:
    proxy = Proxy()
    try:
        plugin = start(engine=engine, environment=proxy.environment())
        plugin.configure(emulator)
        plugin.create({"jobs": jobs("jb1")})
    finally:
        proxy.stop()
    assert any("no real cloud is called" in line for line in engine.messages(engine_pb2.WARNING))
    assert proxy.asked == []


def test_a_home_that_cannot_be_written_is_no_defect(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    plugin = start(environment={"PULUMI_HOME": str(tmp_path / "file")})
    plugin.configure("embedded")
    _, words = refused(plugin.create, {"jobs": jobs("jb1")})
    assert "emulator.sqlite: cannot be opened (Not a directory)" in words
    assert "defect" not in words


@pytest.mark.parametrize("key", ["caFile", "journalDir"])
def test_a_path_in_nobody_s_home_is_no_defect(start: Start, key: str) -> None:
    plugin = start()
    _, words = refused(plugin.configure, **{key: "~nosuchuser/x"})
    assert f"{key}: there is no user of that name" in words
    assert "defect" not in words


def test_an_engine_that_has_gone_holds_nothing_up(start: Start, emulator: Emulator, engine: EngineLog) -> None:
    plugin = start(engine=engine)
    engine.stop()
    begun = time.monotonic()
    plugin.configure(emulator)
    assert outputs(plugin.create({"jobs": jobs("jb1")}))["status"] == "Succeeded"
    assert time.monotonic() - begun < 10.0


@pytest.mark.parametrize("method", ["Invoke", "Call", "Construct", "Parameterize", "GetMapping", "GetMappings"])
def test_a_method_that_it_does_not_have_is_said_to_be_unimplemented(start: Start, method: str) -> None:
    plugin = start()
    with pytest.raises(grpc.RpcError) as caught:
        plugin.channel.unary_unary(f"/pulumirpc.ResourceProvider/{method}")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    plugin.stop()
    assert plugin.printed() == ("", "")


def test_progress_is_shown_on_the_resource_and_does_not_stay(
    start: Start, emulator: Emulator, engine: EngineLog
) -> None:
    plugin = start(engine=engine)
    plugin.configure(emulator)
    creating = plugin.create_later({"jobs": jobs("stuck")})
    _until(lambda: any(line.urn for line in engine.lines))
    plugin.cancel()
    assert init_failed(creating.result).outputs["status"] == "InProgress"
    lines = [line for line in engine.lines if line.urn]
    assert {line.urn for line in lines} == {f"urn:pulumi:dev::project::{DRS}::it"}
    assert all(line.ephemeral for line in lines)


def _answers(plugin: Plugin) -> bool:
    try:
        plugin.stub.GetPluginInfo(empty_pb2.Empty(), timeout=1)
    except grpc.RpcError:
        return False
    return True


def _is_plugin(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"cloudretry.plugin.main" in command and pid != os.getpid()


def _until(happened: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
