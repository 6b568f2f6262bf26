"""What `cloudretry doctor` finds out, through the emulator: nothing is fired, and no secret is told."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloudretry.actions import ACTIONS
from cloudretry.cli import main
from cloudretry.doctor import Report, Verdict, examine, from_file, from_stack
from cloudretry.emulator import CREDENTIALS, Emulator
from cloudretry.errors import ConfigurationError
from cloudretry.ledger import Journal
from cloudretry.ledger import books as write
from cloudretry.model import Cloud
from support.proxy import Proxy

FIRES = {action.fires.name for action in ACTIONS.values()}
HUAWEICLOUD = {
    "region": "eu-de",
    "projectId": CREDENTIALS.project_id,
    "accessKey": CREDENTIALS.access_key,
    "secretKey": CREDENTIALS.secret_key,
}
ALICLOUD = {
    "region": "cn-shanghai",
    "accessKey": CREDENTIALS.alicloud_access_key,
    "secretKey": CREDENTIALS.alicloud_secret_key,
}
FOUR = {"modelarts:PoolScopeRetry", "modelarts:VisualizationJobRestart", "workspace:JobRetry", "drs:JobBatchRetry"}
SECRETS = (
    CREDENTIALS.secret_key,
    CREDENTIALS.alicloud_secret_key,
    CREDENTIALS.password,
    CREDENTIALS.token,
    CREDENTIALS.application_credential_secret,
)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running
        # Whatever a test did: nothing was fired.
        assert not [record for record in running.requests() if record.operation in FIRES]


def huaweicloud(emulator: Emulator, **changes: Any) -> dict[str, Any]:
    """A configuration of Huawei Cloud whose endpoints all are the emulator, and which does not know it for one."""
    endpoints = dict.fromkeys(("modelarts", "workspace", "drs", "iam"), emulator.url)
    return {"huaweicloud": {**HUAWEICLOUD, "endpoints": endpoints, **changes}}


def alicloud(emulator: Emulator, **changes: Any) -> dict[str, Any]:
    return {"alicloud": {**ALICLOUD, "endpoint": emulator.url, **changes}}


def findings(report: Report, cloud: str = "Huawei Cloud") -> dict[str, tuple[Verdict, str]]:
    (diagnosis,) = (one for one in report.clouds if one.cloud == cloud)
    return {finding.name: (finding.verdict, finding.words) for finding in diagnosis.findings}


def shown(report: Report) -> str:
    return "\n".join(report.lines()) + json.dumps(report.to_json())


WAYS: dict[str, dict[str, Any]] = {
    "access key": {},
    "token": {"accessKey": "", "secretKey": "", "token": CREDENTIALS.token},
    "password": {
        "accessKey": "",
        "secretKey": "",
        "userName": CREDENTIALS.user_name,
        "password": CREDENTIALS.password,
        "domainName": CREDENTIALS.domain_name,
    },
    "application credential": {
        "accessKey": "",
        "secretKey": "",
        "applicationCredentialId": CREDENTIALS.application_credential_id,
        "applicationCredentialSecret": CREDENTIALS.application_credential_secret,
    },
    "agency": {"assumeRole": {"agencyName": CREDENTIALS.agency_name, "domainName": CREDENTIALS.domain_name}},
}


@pytest.mark.parametrize("way", WAYS)
def test_good_credentials_leave_nothing_in_the_way(emulator: Emulator, way: str) -> None:
    report = examine(huaweicloud(emulator, **WAYS[way]), {})
    found = findings(report)
    assert report.ok
    assert found.keys() >= FOUR
    assert {verdict for verdict, _ in found.values()} == {Verdict.YES}
    assert found["drs:JobBatchRetry"][1].endswith("the permission drs:migrationJob:action shows only in a fire")
    assert not [secret for secret in SECRETS if secret in shown(report)]


def test_both_clouds_are_looked_at_through_each_status_call(emulator: Emulator) -> None:
    report = examine({**huaweicloud(emulator), **alicloud(emulator)}, {})
    assert report.ok
    assert findings(report, "Alibaba Cloud")["ehpc:JobRerun"][0] is Verdict.YES
    asked = {record.operation for record in emulator.requests()}
    assert {action.looks.name for action in ACTIONS.values()} <= asked


def test_a_cloud_that_nothing_is_set_for_does_not_count(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
    report = examine(huaweicloud(emulator), {})
    assert report.ok
    assert [diagnosis.cloud for diagnosis in report.clouds] == ["Huawei Cloud"]
    asked_for = examine(huaweicloud(emulator), {}, clouds=[Cloud.ALICLOUD])
    assert not asked_for.ok
    assert [diagnosis.cloud for diagnosis in asked_for.clouds] == ["Alibaba Cloud"]


def test_with_nothing_set_both_clouds_say_how_to_give_credentials() -> None:
    report = examine({}, {"ALIBABA_CLOUD_REGION_ID": ""}, clouds=[Cloud.HUAWEICLOUD])
    assert not report.ok
    words = findings(report)["credentials"][1]
    for way in ("HW_ACCESS_KEY and HW_SECRET_KEY", "HW_AUTH_TOKEN", "HW_PROFILE"):
        assert way in words


# --- what stands in the way ---


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"secretKey": "wrong-secret-of-mine"}, "The secretKey is not that of the accessKey"),
        ({"accessKey": "NOBODY"}, "There is no such accessKey in this cloud"),
        ({"securityToken": "wrong-secret-of-mine"}, "The securityToken is wrong or has ended"),
        ({"accessKey": "", "secretKey": "", "token": "wrong-secret-of-mine"}, "The token is wrong or has ended"),
    ],
)
def test_wrong_credentials_are_tried_once_and_explained(emulator: Emulator, change: dict[str, str], words: str) -> None:
    report = examine(huaweicloud(emulator, **change), {})
    found = findings(report)
    assert not report.ok
    assert found["project"][0] is Verdict.NO
    assert words in found["project"][1]
    assert {found[name] for name in FOUR} == {(Verdict.NO, "not asked, because of what stands above")}
    # Five wrong tries would lock the key.
    assert len([record for record in emulator.requests() if record.status == 401]) == 1
    assert "wrong-secret-of-mine" not in shown(report)


def of_a_site(emulator: Emulator, auth_url: str, **changes: Any) -> dict[str, Any]:
    """The configuration of an openrc, whose identity service is the emulator's; the services are named."""
    given = huaweicloud(emulator, authUrl=auth_url, **changes)
    del given["huaweicloud"]["endpoints"]["iam"]
    return given


@pytest.mark.parametrize("suffix", ["/v3", "/v3/", "/", ""])
def test_an_identity_service_with_its_version_is_asked_as_without(emulator: Emulator, suffix: str) -> None:
    found = findings(examine(of_a_site(emulator, f"{emulator.url}{suffix}"), {}))
    assert found["project"] == (Verdict.YES, f"{CREDENTIALS.project_id}; {emulator.url} answers")


@pytest.mark.parametrize("projects", ["listed", "not listed"])
def test_a_wrong_key_is_tried_once_whether_or_not_the_identity_service_tells(emulator: Emulator, projects: str) -> None:
    if projects == "not listed":
        emulator.add_fault("KeystoneListProjects", status=404)
    report = examine(of_a_site(emulator, f"{emulator.url}/v3", secretKey="wrong"), {})
    assert not report.ok
    assert len([record for record in emulator.requests() if record.status == 401]) == 1
    assert [words for verdict, words in findings(report).values()].count(
        "not asked, because of what stands above"
    ) == 4 - (projects == "not listed")


def test_the_site_that_follows_from_an_openrc_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy()
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    environ = {
        "OS_AUTH_URL": "https://iam.eu-de.otc.t-systems.com:443/v3",
        "OS_REGION_NAME": "eu-de",
        "OS_TOKEN": "t1",
        "OS_PROJECT_ID": "p1",
    }
    try:
        found = findings(examine({}, environ, clouds=[Cloud.HUAWEICLOUD]))
    finally:
        proxy.stop()
    assert found["region"] == (Verdict.YES, "eu-de; otc.t-systems.com, the site of authUrl")
    assert {line.split()[1].rpartition(".eu-de.")[2] for line in proxy.asked} == {"otc.t-systems.com:443"}


def test_a_wrong_password_is_explained(emulator: Emulator) -> None:
    way = {**WAYS["password"], "password": "wrong-secret-of-mine"}
    report = examine(huaweicloud(emulator, **way, projectId=""), {})
    assert "gave no token for huaweicloud.userName 'emulator'" in findings(report)["project"][1]
    assert "wrong-secret-of-mine" not in shown(report)


def test_a_wrong_project_is_told_by_each_service(emulator: Emulator) -> None:
    found = findings(examine(huaweicloud(emulator, projectId="0" * 32), {}))
    assert {found[name][0] for name in FOUR} == {Verdict.NO}
    assert "APIGW.0310" in found["modelarts:PoolScopeRetry"][1]
    assert "DRS.M00261: Invalid project ID" in found["drs:JobBatchRetry"][1]
    assert "The project id is wrong. Check projectId." in found["drs:JobBatchRetry"][1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"secretKey": "wrong-secret-of-mine"}, "SignatureDoesNotMatch"),
        ({"accessKey": "NOBODY"}, "InvalidAccessKeyId.NotFound"),
    ],
)
def test_wrong_keys_of_alibaba_cloud_are_explained(emulator: Emulator, change: dict[str, str], words: str) -> None:
    report = examine(alicloud(emulator, **change), {})
    verdict, told = findings(report, "Alibaba Cloud")["ehpc:JobRerun"]
    assert verdict is Verdict.NO
    assert words in told
    assert "wrong-secret-of-mine" not in shown(report)


@pytest.mark.parametrize(
    ("operation", "status", "body", "service", "verdict", "words"),
    [
        (
            "ShowJob",
            403,
            {"error_code": "WKS.0403", "error_msg": "no", "encoded_authorization_message": "AQ"},
            "workspace:JobRetry",
            Verdict.NO,
            "Grant workspace:jobs:retry and workspace:jobs:get. The reason is encoded",
        ),
        (
            "BatchListJobStatus",
            403,
            {"error_code": "DRS.M00102", "error_msg": "no"},
            "drs:JobBatchRetry",
            Verdict.NO,
            "No permission.",
        ),
        (
            "BatchListJobStatus",
            400,
            {"error_code": "DRS.M05003", "error_msg": "no"},
            "drs:JobBatchRetry",
            Verdict.YES,
            "shows only in a fire",
        ),
        (
            "BatchListJobStatus",
            400,
            {"error_code": "DRS.M01503", "error_msg": "too many"},
            "drs:JobBatchRetry",
            Verdict.NO,
            "Too many requests",
        ),
        (
            "ShowVisualizationJob",
            404,
            {"error_code": "APIGW.0101", "error_msg": "no API"},
            "modelarts:VisualizationJobRestart",
            Verdict.NOT_HERE,
            "retired",
        ),
        (
            "ShowPool",
            404,
            {"error_code": "APIGW.0101", "error_msg": "no API"},
            "modelarts:PoolScopeRetry",
            Verdict.NO,
            "Check the region",
        ),
        ("ShowPool", 502, "<h1>Bad Gateway</h1>", "modelarts:PoolScopeRetry", Verdict.NO, "Bad Gateway"),
        ("ShowPool", 200, "<h1>Sign in</h1>", "modelarts:PoolScopeRetry", Verdict.NO, "not a JSON object"),
    ],
)
def test_what_a_service_answers_is_judged(
    emulator: Emulator, operation: str, status: int, body: Any, service: str, verdict: Verdict, words: str
) -> None:
    emulator.add_fault(operation, status=status, body=body, times=None)
    report = examine(huaweicloud(emulator), {})
    found = findings(report)
    assert found[service][0] is verdict, found
    assert words in found[service][1]
    assert report.ok is (verdict is not Verdict.NO)
    assert {found[name][0] for name in FOUR - {service}} == {Verdict.YES}


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [(404, "ClusterNotFound", Verdict.YES), (400, "InDebt", Verdict.NO), (407, "NotAuthorized", Verdict.NO)],
)
def test_what_e_hpc_answers_is_judged(emulator: Emulator, status: int, code: str, verdict: Verdict) -> None:
    emulator.add_fault("ListJobs", status=status, body={"Code": code, "Message": "m", "RequestId": "r"}, times=None)
    report = examine(alicloud(emulator), {})
    assert findings(report, "Alibaba Cloud")["ehpc:JobRerun"][0] is verdict


def test_permission_to_list_projects_is_not_needed(emulator: Emulator) -> None:
    refusal = {"error": {"code": 403, "message": "no permission", "title": "Forbidden"}}
    emulator.add_fault("KeystoneListProjects", status=403, body=refusal, times=None)
    report = examine(huaweicloud(emulator), {})
    assert report.ok
    assert "does not list projects: no permission" in findings(report)["project"][1]


def test_an_endpoint_that_cannot_be_reached_is_named(emulator: Emulator) -> None:
    given = huaweicloud(emulator)
    given["huaweicloud"]["endpoints"] = {**given["huaweicloud"]["endpoints"], "drs": "http://127.0.0.1:1"}
    report = examine(given, {})
    found = findings(report)
    assert found["drs:JobBatchRetry"][0] is Verdict.NO
    assert found["drs:JobBatchRetry"][1].startswith("http://127.0.0.1:1: No connection to 127.0.0.1:1 could be made")
    assert found["workspace:JobRetry"][0] is Verdict.YES


def test_nothing_that_can_be_reached_is_no_hang() -> None:
    began = time.monotonic()
    given = {
        "huaweicloud": {**HUAWEICLOUD, "endpoints": dict.fromkeys(("modelarts", "drs", "iam"), "http://127.0.0.1:1")}
    }
    given["huaweicloud"]["endpoints"]["workspace"] = "http://127.0.0.1:1"
    report = examine(given, {})
    assert not report.ok
    assert "clock" not in findings(report)
    assert time.monotonic() - began < 20


# --- the clock ---


@pytest.mark.parametrize(
    ("off", "verdict", "words"),
    [
        (0, Verdict.YES, "agrees with the cloud's"),
        (-60, Verdict.YES, "behind the cloud's"),
        (-3600, Verdict.NO, "behind the cloud's; signatures are refused from 15m on: set this machine's clock"),
        (3600, Verdict.NO, "ahead of the cloud's"),
    ],
)
def test_the_clock_is_compared_with_the_clouds(emulator: Emulator, off: float, verdict: Verdict, words: str) -> None:
    report = examine({**huaweicloud(emulator), **alicloud(emulator)}, {}, clock=lambda: time.time() + off)
    for cloud in ("Huawei Cloud", "Alibaba Cloud"):
        told = findings(report, cloud)["clock"]
        assert told[0] is verdict
        assert words in told[1]
    assert report.ok is (verdict is Verdict.YES)


# --- settings ---


def test_each_setting_says_where_it_came_from_and_no_secret_shows(emulator: Emulator) -> None:
    environ = {
        "HW_REGION_NAME": "eu-de",
        "HW_ACCESS_KEY": CREDENTIALS.access_key,
        "HW_SECRET_KEY": CREDENTIALS.secret_key,
    }
    endpoints = dict.fromkeys(("modelarts", "workspace", "drs", "iam"), emulator.url)
    given = {"readTimeout": "5s", "huaweicloud": {"projectId": CREDENTIALS.project_id, "endpoints": endpoints}}
    report = examine(given, environ, given_by="stack dev")
    settings = {setting.key: (setting.value, setting.source) for setting in report.settings}
    assert settings["huaweicloud.region"] == ("eu-de", "HW_REGION_NAME")
    assert settings["huaweicloud.secretKey"] == ("(secret)", "HW_SECRET_KEY")
    assert settings["huaweicloud.projectId"] == (CREDENTIALS.project_id, "stack dev")
    assert settings["huaweicloud.endpoints.drs"] == (emulator.url, "stack dev")
    assert settings["readTimeout"] == ("5s", "stack dev")
    assert settings["connectTimeout"] == ("10s", "default")
    assert findings(report)["credentials"] == (Verdict.YES, "accessKey (from HW_ACCESS_KEY)")
    assert CREDENTIALS.secret_key not in shown(report)


def test_a_profile_is_named_with_its_file_and_its_region(emulator: Emulator, tmp_path: Path) -> None:
    entry = {
        "name": "work",
        "accessKeyId": CREDENTIALS.access_key,
        "secretAccessKey": CREDENTIALS.secret_key,
        "region": "eu-de",
        "projectId": CREDENTIALS.project_id,
    }
    (tmp_path / "config.json").write_text(json.dumps({"current": "work", "profiles": [entry]}))
    given = huaweicloud(emulator, accessKey="", secretKey="", region="", projectId="")
    given["huaweicloud"]["sharedConfigFile"] = str(tmp_path / "config.json")
    report = examine(given, {})
    found = findings(report)
    assert report.ok
    assert found["credentials"][1] == f"profile that is current in {tmp_path / 'config.json'}"
    assert found["region"][1] == "eu-de, that of the profile"
    assert CREDENTIALS.secret_key not in shown(report)


def journal_finding(emulator: Emulator, folder: Path) -> tuple[Verdict, str]:
    report = examine({**huaweicloud(emulator), "journalDir": str(folder)}, {})
    (found,) = report.findings
    assert found.name == "journal"
    assert report.ok == (found.verdict is Verdict.YES)
    return found.verdict, found.words


def everything_below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize("name", ["journal", "not/there/yet"])
def test_a_journal_is_tried_out_and_nothing_is_left_behind(emulator: Emulator, tmp_path: Path, name: str) -> None:
    (tmp_path / "journal").mkdir(mode=0o700)
    before = everything_below(tmp_path)
    words = f"{tmp_path / name} can be written, with hard links and locks"
    assert journal_finding(emulator, tmp_path / name) == (Verdict.YES, words)
    assert everything_below(tmp_path) == before


def test_a_journal_that_cannot_be_written_stands_in_the_way(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    verdict, words = journal_finding(emulator, tmp_path / "file" / "journal")
    assert verdict is Verdict.NO
    assert "cannot be written (Not a directory), so nothing was fired. Point journalDir to" in words


def test_a_journal_on_a_disk_without_hard_links_stands_in_the_way(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_paths: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    verdict, words = journal_finding(emulator, tmp_path)
    assert verdict is Verdict.NO
    assert "Point journalDir to a folder on a disk with hard links" in words
    monkeypatch.undo()
    assert everything_below(tmp_path) == []


def test_a_journal_on_a_disk_without_locks_stands_in_the_way(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    verdict, words = journal_finding(emulator, tmp_path)
    assert verdict is Verdict.NO
    assert "(No locks available), so it cannot be known who is at work" in words
    monkeypatch.undo()
    assert everything_below(tmp_path) == []


def test_a_journal_that_others_can_write_to_stands_in_the_way(emulator: Emulator, tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    folder.chmod(0o777)
    verdict, words = journal_finding(emulator, folder)
    assert verdict is Verdict.NO
    assert f"the journal's folder {folder} can be written by other users" in words
    assert everything_below(folder) == []


def test_a_journal_that_is_a_link_stands_in_the_way(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    verdict, words = journal_finding(emulator, tmp_path / "link")
    assert verdict is Verdict.NO
    assert "is a link" in words


def test_an_entry_of_the_journal_that_cannot_be_read_stands_in_the_way(emulator: Emulator, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.at({"region": "eu-de"}).write(lambda _books, _listed: ([write.saved([])], None))
    journal.close()
    (entry,) = tmp_path.glob("places/*/0*")
    entry.write_text("{")
    verdict, words = journal_finding(emulator, tmp_path)
    assert verdict is Verdict.NO
    assert f"the journal's entry {entry} cannot be read" in words


# --- the command ---


def run(*arguments: str, **environ: str) -> Any:
    clean = dict.fromkeys(name for name in os.environ if name.startswith(("HW_", "OS_", "ALI", "HUAWEI")))
    return CliRunner().invoke(main, ["doctor", *arguments], env={**clean, **environ})


def test_the_command_ends_with_0_when_nothing_is_wrong(emulator: Emulator) -> None:
    done = run(CLOUDRETRY_EMULATOR=emulator.url)
    assert done.exit_code == 0, done.output
    assert "yes  drs:JobBatchRetry" in done.output
    assert "no cloud is called" in done.output


def test_the_command_starts_the_embedded_emulator() -> None:
    done = run("--json", CLOUDRETRY_EMULATOR="embedded")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["ok"] is True


def test_the_command_ends_with_1_when_something_is_wrong(emulator: Emulator, tmp_path: Path) -> None:
    file = tmp_path / "provider.yaml"
    file.write_text(json.dumps(huaweicloud(emulator, secretKey="wrong-secret-of-mine")))
    done = run("--config", str(file), "--json")
    assert done.exit_code == 1
    report = json.loads(done.output)
    assert report["ok"] is False
    assert {setting["source"] for setting in report["settings"]} == {str(file), "default"}
    assert "wrong-secret-of-mine" not in done.output


def test_a_configuration_that_cannot_be_used_is_told_in_both_forms() -> None:
    done = run("--cloud", "huaweicloud", HW_CLOUD="not a host")
    assert done.exit_code == 2
    assert "huaweicloud.cloud (from HW_CLOUD)" in done.output
    done = run("--json", HW_CLOUD="not a host")
    assert (done.exit_code, json.loads(done.output)["ok"]) == (2, False)


def test_one_source_of_configuration_at_a_time(tmp_path: Path) -> None:
    assert run("--stack", "dev", "--config", str(tmp_path / "x")).exit_code == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [("- a", "is not a mapping"), ("secretKey: [hidden-key", "neither YAML nor JSON"), (None, "cannot be read")],
)
def test_a_file_that_holds_no_configuration_is_named(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "provider.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=words) as refused:
        from_file(file)
    assert str(file) in str(refused.value)
    assert "hidden-key" not in str(refused.value)


PulumiSays = Callable[[str, int], None]


@pytest.fixture
def pulumi_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PulumiSays:
    """Puts a `pulumi` on PATH that says something and writes its arguments down."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def put(text: str, code: int) -> None:
        (tmp_path / "says").write_text(text)
        script = tmp_path / "pulumi"
        out = 1 if code == 0 else 2
        script.write_text(
            f'#!/bin/sh\necho "$@" > "{tmp_path}/arguments"\ncat "{tmp_path}/says" >&{out}\nexit {code}\n'
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    return put


def test_a_stacks_configuration_is_read_with_the_pulumi_cli(
    emulator: Emulator, pulumi_says: PulumiSays, tmp_path: Path
) -> None:
    nested = huaweicloud(emulator)["huaweicloud"]
    entries = {
        "cloudretry:huaweicloud": {"value": json.dumps(nested), "objectValue": nested, "secret": True},
        "cloudretry:readTimeout": {"value": "5s", "secret": False},
        "other:secret": {"value": "of-another-provider", "secret": True},
    }
    pulumi_says(json.dumps(entries), 0)
    assert from_stack("dev") == {"huaweicloud": nested, "readTimeout": "5s"}
    done = run("--stack", "dev")
    assert done.exit_code == 0, done.output
    assert "stack dev" in done.output
    assert not [secret for secret in (*SECRETS, "of-another-provider") if secret in done.output]
    assert (tmp_path / "arguments").read_text().split() == [
        *("config", "--json", "--show-secrets", "--non-interactive", "--stack", "dev")
    ]


@pytest.mark.parametrize(("text", "code"), [("error: no stack named 'dev' found", 255), ("not json", 0)])
def test_a_stack_that_cannot_be_read_is_an_error(pulumi_says: PulumiSays, text: str, code: int) -> None:
    pulumi_says(text, code)
    with pytest.raises(ConfigurationError, match="The configuration of stack dev cannot be read: ") as refused:
        from_stack("dev")
    assert ("no stack named" in str(refused.value)) is (code != 0)


def test_without_the_pulumi_cli_the_error_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="stack dev cannot be read"):
        from_stack("dev")
