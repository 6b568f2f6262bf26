"""A failure is partial, never total: what is known is handed over, in words for people."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from driver import DRS, EngineLog, Plugin, init_failed, jobs, outputs, refused, urn
from pulumi.runtime.proto import engine_pb2, provider_pb2, status_pb2
from test_resources import fired

from cloudretry import bounds
from cloudretry.emulator import Emulator
from cloudretry.errors import CloudRetryError
from cloudretry.lifecycle import Outcome
from cloudretry.plugin.marshal import Secret, from_struct, plain, to_struct
from cloudretry.plugin.secrecy import Secrecy
from cloudretry.plugin.server import Provider, _failed_with_state


def status_of(state: dict[str, Any], target: str) -> str:
    return next(result["status"] for result in state["results"] if result["target"] == target)


def test_a_refused_target_fails_the_create_and_the_others_are_recorded(plugin: Plugin, emulator: Emulator) -> None:
    failed = init_failed(plugin.create, {"jobs": jobs("jb1", "refused"), "triggers": {"release": "1"}})
    assert failed.outputs["status"] == "PartiallyFailed"
    assert failed.outputs["triggers"] == {"release": "1"}
    assert status_of(failed.outputs, "jb1") == "Succeeded"
    assert failed.id.endswith("/jb1,refused")
    (reason,) = failed.reasons
    assert "DRS.M00304" in reason
    assert "refused" in reason
    assert "The next `pulumi up`" in reason
    assert "Traceback" not in reason


def test_the_largest_batch_can_fail_with_any_words_and_still_be_handed_over() -> None:
    """What the engine reads of a trailer ends at 16 MiB, and it goes there in base64."""
    count = bounds.MOST_TARGETS
    for words, wrap in (("字" * bounds.LONGEST_MESSAGE, str), ("\U0001f4a5" * bounds.LONGEST_MESSAGE, Secret)):
        name = words[: bounds.LONGEST_NAME]
        results = [
            {
                "target": wrap(f"{number:0128d}"),
                "status": "Failed",
                "attempts": 1000,
                "cloudStatus": wrap(name),
                "errorCode": wrap(name),
                "errorMessage": wrap(words),
                "firedAt": "2026-01-31T23:59:59Z",
            }
            for number in range(count)
        ]
        outputs = {
            "status": "Failed",
            "results": results,
            "requestIds": [name] * (count // 10),
            "fireIds": ["f" * 32] * (count // 10),
        }
        outputs["triggers"] = {"large": "x" * bounds.LARGEST_INPUTS}
        done = Outcome("id", {"history": []}, failure=f"- it: {words}\n" * 5)
        ((_, content),) = _failed_with_state("id", done, to_struct(outputs), Secrecy([]))
        assert len(base64.b64encode(content)) < 16 * 1024 * 1024 - 10_000
        failed = provider_pb2.ErrorResourceInitFailed()
        assert status_pb2.Status.FromString(content).details[0].Unpack(failed)
        handed = plain(from_struct(failed.properties))
        assert [result["target"] for result in handed["results"]] == [f"{number:0128d}" for number in range(count)]
        assert {result["errorMessage"][-1] for result in handed["results"]} == {"…"}
        assert handed["triggers"] == outputs["triggers"]


def test_words_are_not_cut_where_they_fit() -> None:
    results = [
        {"target": "jb1", "status": "Failed", "attempts": 1, "errorMessage": "x" * bounds.LONGEST_MESSAGE}
    ] * 1000
    done = Outcome("id", {"history": []}, failure="it failed")
    properties = to_struct({"results": results})
    _failed_with_state("id", done, properties, Secrecy([]))
    assert from_struct(properties)["results"] == results


def test_the_next_update_fires_the_failed_target_only(plugin: Plugin, emulator: Emulator) -> None:
    failed = init_failed(plugin.create, {"jobs": jobs("jb1", "refused")})
    emulator.set_scenario(
        {
            "drsJobs": [
                {"count": 1, "idFormat": "jb{n}", "state": "FULL_TRANSFER_STARTED"},
                {"id": "refused", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["FULL_TRANSFER_STARTED", 0]]},
            ]
        }
    )
    news = {"jobs": jobs("jb1", "refused")}
    assert list(plugin.diff(failed.outputs, news).diffs) == ["status"]
    assert outputs(plugin.update(failed.outputs, news))["status"] == "Succeeded"
    assert fired(emulator) == {"refused": 1}


def test_a_failed_update_hands_over_what_was_fired(plugin: Plugin) -> None:
    state = outputs(plugin.create({"jobs": jobs("jb1"), "triggers": {"release": "1"}}))
    news = {"jobs": jobs("jb1", "refused"), "triggers": {"release": "2"}, "reconcile": True}
    failed = init_failed(plugin.update, state, news)
    assert failed.id == "id"
    assert failed.outputs["triggers"] == {"release": "2"}
    assert failed.outputs["generation"] == 2
    assert failed.refresh_before_update


def test_a_timeout_of_the_engine_ends_the_wait_with_what_was_last_seen(plugin: Plugin) -> None:
    begun = time.monotonic()
    failed = init_failed(plugin.create, {"jobs": jobs("jb1", "stuck")}, timeout=0.5)
    assert time.monotonic() - begun < 5.0
    assert failed.outputs["status"] == "InProgress"
    assert status_of(failed.outputs, "jb1") == "Succeeded"
    assert "STARTJOBING" in failed.reasons[0]
    assert "goes on waiting" in failed.reasons[0]


def test_a_wait_that_was_cut_off_goes_on_and_fires_nothing(plugin: Plugin, emulator: Emulator) -> None:
    failed = init_failed(plugin.create, {"jobs": jobs("stuck")}, timeout=0.3)
    emulator.set_state("stuck", "FULL_TRANSFER_STARTED")
    assert outputs(plugin.update(failed.outputs, {"jobs": jobs("stuck")}))["status"] == "Succeeded"
    assert fired(emulator) == {"stuck": 1}


def test_cancel_ends_every_wait_within_a_second(start: Callable[..., Plugin], emulator: Emulator) -> None:
    plugin = start()
    # The pause between two looks is long: only a wait that wakes up ends in time.
    plugin.configure(emulator, pollInterval="20s")
    creating = plugin.create_later({"jobs": jobs("stuck", "jb1")})
    while len(fired(emulator)) < 2:
        time.sleep(0.02)
    begun = time.monotonic()
    plugin.cancel()
    failed = init_failed(creating.result)
    assert time.monotonic() - begun < 1.0
    assert failed.outputs["status"] == "InProgress"
    assert [result["target"] for result in failed.outputs["results"]] == ["stuck", "jb1"]
    assert "cancelled" in failed.reasons[0]


def test_cancel_does_not_lose_an_answer_that_is_on_its_way(start: Callable[..., Plugin], emulator: Emulator) -> None:
    plugin = start()
    plugin.configure(emulator)
    emulator.add_fault("BatchRestoreTask", delay=0.5, after=True)
    creating = plugin.create_later({"jobs": jobs("jb1")})
    while not fired(emulator):
        time.sleep(0.02)
    plugin.cancel()
    failed = init_failed(creating.result)
    assert failed.outputs["requestIds"]
    assert failed.outputs["status"] == "InProgress"


def test_after_cancel_nothing_is_fired_any_more(start: Callable[..., Plugin], emulator: Emulator) -> None:
    plugin = start()
    plugin.configure(emulator)
    plugin.cancel()
    failed = init_failed(plugin.create, {"jobs": jobs("jb1")})
    assert "not sent" in failed.reasons[0]
    assert fired(emulator) == {}


def test_an_answer_that_no_text_can_hold_is_recorded_all_the_same(plugin: Plugin, emulator: Emulator) -> None:
    # Half of a surrogate pair: right in JSON, impossible in UTF-8.
    answer = '{"results": [{"id": "jb1", "status": "failed", "error_code": "X", "error_msg": "half \\ud83d of it"}]}'
    emulator.add_fault("BatchRestoreTask", status=200, body=answer, headers={"content-type": "application/json"})
    failed = init_failed(plugin.create, {"jobs": jobs("jb1")})
    assert failed.outputs["status"] == "Failed"
    assert failed.outputs["results"][0]["errorCode"] == "X"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"status": 500, "body": {"error_code": "DRS.M00004", "error_msg": "oh"}}, "Succeeded"),
        ({"drop": "after"}, "Succeeded"),
        ({"status": 200, "body": "no JSON"}, "Succeeded"),
    ],
)
def test_a_fire_without_a_clear_answer_is_never_sent_twice(
    plugin: Plugin, emulator: Emulator, fault: dict[str, Any], status: str
) -> None:
    emulator.add_fault("BatchRestoreTask", **fault, **({} if "drop" in fault else {"after": True}))
    created = plugin.create({"jobs": jobs("jb1")})
    assert outputs(created)["status"] == status
    assert fired(emulator) == {"jb1": 1}


def test_when_nothing_was_fired_nothing_is_kept(plugin: Plugin, emulator: Emulator) -> None:
    news = {"jobs": jobs("jb1"), "fireWhen": "retryable"}
    emulator.add_fault("BatchListJobStatus", status=403, body={"error_code": "DRS.M00102", "error_msg": "no"}, times=9)
    code, words = refused(plugin.create, news)
    emulator.clear_faults()
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "DRS.M00102" in words
    assert fired(emulator) == {}


# --- defects of ours --------------------------------------------------------------------------------------------------


class Context:
    """The part of a call's context that is used."""

    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None
        self.words = ""

    async def abort(self, code: grpc.StatusCode, words: str) -> None:
        self.code, self.words = code, words
        raise grpc.aio.AbortError


def answer_of(engine_address: str = "", **request: Any) -> Context:
    context = Context()

    async def call() -> None:
        provider = Provider(engine_address)
        with pytest.raises(grpc.aio.AbortError):
            await provider.Check(provider_pb2.CheckRequest(**request), context)  # type: ignore[arg-type]
        await provider.log.close()

    asyncio.run(call())
    return context


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Lets every check fail with an error."""

    def fail_with(error: Exception) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr("cloudretry.plugin.server.check", fail)

    return fail_with


def test_a_defect_of_ours_says_so_and_how_to_report_it(broken: Callable[[Exception], None]) -> None:
    broken(KeyError("oh"))
    context = answer_of(urn=urn(DRS))
    assert context.code is grpc.StatusCode.INTERNAL
    assert "a defect of cloudretry" in context.words
    assert "/issues" in context.words
    assert "-v=9" in context.words


def test_a_defect_s_traceback_goes_to_the_verbose_log_only(
    broken: Callable[[Exception], None], engine: EngineLog, capfd: pytest.CaptureFixture[str]
) -> None:
    broken(RuntimeError("something of ours"))
    context = answer_of(engine.address, urn=urn(DRS))
    (line,) = engine.messages(engine_pb2.DEBUG)
    assert "Traceback" in line
    assert "something of ours" in line
    assert not engine.messages(engine_pb2.ERROR)
    assert "Traceback" not in context.words
    assert "something of ours" not in context.words
    assert capfd.readouterr() == ("", "")


def test_a_traceback_holds_no_secret_of_the_resource(broken: Callable[[Exception], None], engine: EngineLog) -> None:
    broken(RuntimeError("cannot read job hidden-1"))
    answer_of(engine.address, urn=urn(DRS), news=to_struct({"jobs": jobs(Secret("hidden-1"))}))
    (line,) = engine.messages(engine_pb2.DEBUG)
    assert "cannot read job [secret]" in line
    assert "hidden-1" not in line


def test_what_the_user_can_mend_is_no_defect(broken: Callable[[Exception], None]) -> None:
    broken(CloudRetryError("do this"))
    context = answer_of(urn=urn(DRS))
    assert context.code is grpc.StatusCode.FAILED_PRECONDITION
    assert context.words == "do this"


def test_a_defect_before_the_answer_leaves_the_fire_to_be_taken_up(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDRETRY_EMULATOR", emulator.url)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    request = provider_pb2.CreateRequest(urn=urn(DRS), properties=to_struct({"jobs": jobs("jb1")}))

    async def create() -> tuple[Context, provider_pb2.CreateResponse | None]:
        context, provider, response = Context(), Provider(""), None
        with contextlib.suppress(grpc.aio.AbortError):
            response = await provider.Create(request, context)  # type: ignore[arg-type]
        await provider.close()
        return context, response

    with monkeypatch.context() as broken:
        broken.setattr("cloudretry.plugin.server._outputs", lambda *_: {}["oh"])
        context, _ = asyncio.run(create())
    assert context.code is grpc.StatusCode.INTERNAL
    assert fired(emulator) == {"jb1": 1}
    _, response = asyncio.run(create())
    assert response is not None
    assert from_struct(response.properties)["status"] == "Succeeded"
    assert fired(emulator) == {"jb1": 1}


def test_the_outputs_of_a_failure_are_what_the_next_call_reads(plugin: Plugin) -> None:
    failed = init_failed(plugin.create, {"jobs": jobs("refused")})
    read = plugin.read(failed.id, failed.outputs)
    assert from_struct(read.properties) == failed.outputs
