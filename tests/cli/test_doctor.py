"""`cloudretry doctor` as a process. What it finds out is told by tests/test_doctor.py."""

from __future__ import annotations

import json
import re
import signal
import socket

from command_line import CommandLine

from cloudretry.emulator import CREDENTIALS, Emulator


def test_it_tells_settings_and_findings_and_ends_with_0(cloudretry: CommandLine, emulator: Emulator) -> None:
    done = cloudretry("doctor")
    assert (done.code, done.err) == (0, "")
    assert re.search(rf"^  emulator +{emulator.url} +CLOUDRETRY_EMULATOR$", done.out, re.MULTILINE)
    assert f"  yes  journal  {cloudretry.journal} can be written, with hard links and locks\n" in done.out
    for title in ("Settings", "This machine", "Huawei Cloud", "Alibaba Cloud"):
        assert re.search(rf"^{title}$", done.out, re.MULTILINE)
    assert re.search(r"^  yes +drs:JobBatchRetry +", done.out, re.MULTILINE)


def test_with_json_it_tells_the_same(cloudretry: CommandLine) -> None:
    report = cloudretry("doctor", "--json", "--cloud", "alicloud").json
    assert report["ok"] is True
    assert [cloud["cloud"] for cloud in report["clouds"]] == ["Alibaba Cloud"]
    assert {"name", "verdict", "words", "endpoint"} == report["clouds"][0]["findings"][0].keys()


def test_what_is_wrong_ends_with_1_and_gives_no_secret_away(cloudretry: CommandLine, emulator: Emulator) -> None:
    endpoints = dict.fromkeys(("modelarts", "workspace", "drs", "iam"), emulator.url)
    keys = {"accessKey": CREDENTIALS.access_key, "secretKey": "planted-secret"}
    provider = {"huaweicloud": {"region": "eu-de", "projectId": "p1", "endpoints": endpoints, **keys}}
    (cloudretry.folder / "provider.json").write_text(json.dumps(provider))
    for form in ([], ["--json"]):
        done = cloudretry("doctor", "--config", "provider.json", *form, CLOUDRETRY_EMULATOR="")
        assert done.code == 1
        assert "APIGW.0301" in done.out
        assert "planted" not in done.out + done.err


def test_a_configuration_that_cannot_be_used_ends_with_2(alone: CommandLine) -> None:
    done = alone("doctor", "--cloud", "huaweicloud", HW_CLOUD="not a host")
    assert (done.code, done.out) == (2, "")
    assert "huaweicloud.cloud (from HW_CLOUD)" in done.err
    assert "stack dev cannot be read: the Pulumi CLI, pulumi, is not on PATH" in (
        alone("doctor", "--stack", "dev", "--json", PATH="/nowhere").problem
    )


def test_interrupted_while_a_cloud_does_not_answer_it_ends_at_once(alone: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = alone.start("doctor", "--json", CLOUDRETRY_EMULATOR=url)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        connection.close()
    assert (process.returncode, err) == (-signal.SIGINT, "")
    assert json.loads(out) == {"ok": False, "problem": "interrupted"}
