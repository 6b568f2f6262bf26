"""What a resource inherits that says nothing of its place, compared with where the connection really goes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudretry.backend import ConfiguredBackend, pulumi_backend
from cloudretry.config import load
from cloudretry.emulator import CREDENTIALS
from cloudretry.errors import PinnedPlaceChanged
from cloudretry.lifecycle.difference import check_pinned
from cloudretry.model import Cloud, Place

KEYS = {"accessKey": "ak", "secretKey": "sk"}


def backend(given: Mapping[str, Any], **environ: str) -> ConfiguredBackend:
    return ConfiguredBackend(load({"journalEnabled": False, **given}, environ))


@pytest.fixture
def profile(tmp_path: Path) -> str:
    path = tmp_path / "config.json"
    entry = {"name": "work", "accessKeyId": "ak", "secretAccessKey": "sk", "region": "eu-nl", "projectId": "p-nl"}
    path.write_text(json.dumps({"current": "work", "profiles": [entry]}))
    return str(path)


@pytest.fixture
def cli_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", raising=False)
    (tmp_path / ".aliyun").mkdir()
    profiles = [
        {"name": "work", "mode": "AK", "region_id": "cn-beijing"},
        {"name": "other", "region_id": "cn-hangzhou"},
    ]
    (tmp_path / ".aliyun/config.json").write_text(json.dumps({"current": "work", "profiles": profiles}))


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"huaweicloud": {"region": "eu-de", "projectId": "p1", **KEYS}}, Place("eu-de", "p1")),
        ({"huaweicloud": {"projectId": "p1", **KEYS}}, Place("", "p1")),
        ({"huaweicloud": {"region": "eu-de", "projectName": "eu-de_web", **KEYS}}, Place("eu-de")),
        ({"emulator": "http://127.0.0.1:1"}, Place(CREDENTIALS.region, CREDENTIALS.project_id)),
        ({"emulator": "embedded", "huaweicloud": {"region": "eu-nl"}}, Place("eu-nl", CREDENTIALS.project_id)),
    ],
    ids=["configured", "without a region", "a project that only the cloud knows", "emulator", "configured on it"],
)
def test_what_the_configuration_and_the_emulator_say(given: dict[str, Any], place: Place) -> None:
    assert backend(given).inherited(Cloud.HUAWEICLOUD) == place


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, Place("eu-nl", "p-nl")),
        ({"region": "eu-nl"}, Place("eu-nl", "p-nl")),
        ({"region": "eu-de"}, Place("eu-de")),
        ({"projectId": "p1"}, Place("eu-nl", "p1")),
        ({"projectName": "eu-nl_web"}, Place("eu-nl")),
        (KEYS, Place("")),
    ],
    ids=["both", "its region", "another region", "another project", "a project's name", "given keys come first"],
)
def test_what_the_profile_says(profile: str, given: dict[str, str], place: Place) -> None:
    huaweicloud = {"sharedConfigFile": profile, **given}
    assert backend({"huaweicloud": huaweicloud}).inherited(Cloud.HUAWEICLOUD) == place


@pytest.mark.parametrize(
    "given", [{}, {"region": "eu-de", "projectId": "p1"}, {"projectId": "p1"}], ids=["profile", "both", "project"]
)
def test_the_connection_goes_where_it_says(profile: str, given: dict[str, str]) -> None:
    configured = backend({"huaweicloud": {"sharedConfigFile": profile, **given}})
    place = configured.inherited(Cloud.HUAWEICLOUD)
    client = configured.connect(Cloud.HUAWEICLOUD, region=None, project_id=None)
    assert place == Place(client.region, client.project_id)
    configured.close()


def test_a_configured_project_without_a_region_is_that_of_every_region() -> None:
    configured = backend({"huaweicloud": {"projectId": "p1", **KEYS}})
    client = configured.connect(Cloud.HUAWEICLOUD, region="eu-nl", project_id=None)
    assert (client.region, client.project_id) == ("eu-nl", "p1")
    configured.close()


@pytest.mark.usefixtures("cli_profile")
@pytest.mark.parametrize(
    ("given", "environ", "region"),
    [
        ({}, {}, "cn-beijing"),
        ({"profile": "other"}, {}, "cn-hangzhou"),
        ({}, {"ALIBABA_CLOUD_PROFILE": "other"}, "cn-hangzhou"),
        ({"profile": "nobody"}, {}, ""),
        ({"region": "cn-shanghai"}, {}, "cn-shanghai"),
        (KEYS, {}, ""),
    ],
    ids=["current", "given", "of the environment", "missing", "a configured region", "given keys come first"],
)
def test_the_region_of_the_alibaba_cloud_cli(given: dict[str, str], environ: dict[str, str], region: str) -> None:
    assert backend({"alicloud": given}, **environ).inherited(Cloud.ALICLOUD) == Place(region)


@pytest.mark.usefixtures("cli_profile")
def test_the_connection_goes_to_the_region_of_the_alibaba_cloud_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    configured = backend({})
    assert configured.connect(Cloud.ALICLOUD, region=None, project_id=None).region == "cn-beijing"
    configured.close()
    monkeypatch.setenv("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true")
    assert backend({}).inherited(Cloud.ALICLOUD) == Place("")


def test_on_the_emulator_the_region_is_the_emulators() -> None:
    assert backend({"emulator": "http://127.0.0.1:1"}).inherited(Cloud.ALICLOUD) == Place(CREDENTIALS.alicloud_region)


@pytest.mark.parametrize("given", [{}, {"profile": "nobody"}, {"accessKey": "ak"}])
def test_credentials_that_cannot_be_used_do_not_stop_a_comparison(given: dict[str, str]) -> None:
    huaweicloud = {"region": "eu-de", "projectId": "p1", **given}
    assert backend({"huaweicloud": huaweicloud}).inherited(Cloud.HUAWEICLOUD) == Place("eu-de", "p1")
    assert backend({"alicloud": {"region": "cn-x", "accessKey": "ak"}}).inherited(Cloud.ALICLOUD) == Place("cn-x")


def test_a_profile_that_moved_is_a_mismatch(profile: str) -> None:
    inherited = backend({"huaweicloud": {"sharedConfigFile": profile}}).inherited(Cloud.HUAWEICLOUD)
    with pytest.raises(PinnedPlaceChanged, match=r"created in 'eu-de'.*configured for 'eu-nl'"):
        check_pinned(Place("eu-de", "p-nl"), {}, inherited)
    with pytest.raises(PinnedPlaceChanged, match="projectId: the resource was created in 'p-de'"):
        check_pinned(Place("eu-nl", "p-de"), {}, inherited)


def test_a_resource_in_a_region_of_its_own_does_not_inherit_the_project() -> None:
    check_pinned(Place("eu-nl", "p-nl"), {"region": "eu-nl"}, Place("eu-de", "p-de"))
    with pytest.raises(PinnedPlaceChanged, match="projectId"):
        check_pinned(Place("eu-de", "p-old"), {"region": "eu-de"}, Place("eu-de", "p-de"))


def test_a_comparison_asks_nobody_and_brings_in_no_http_library(profile: str) -> None:
    script = """
import socket, sys
from cloudretry.backend import ConfiguredBackend
from cloudretry.config import load
from cloudretry.model import Cloud
def refuse(*_): raise AssertionError("a connection was opened")
socket.socket.connect = refuse
for given in ({"huaweicloud": {"sharedConfigFile": sys.argv[1]}}, {"emulator": "embedded"}, {}):
    backend = ConfiguredBackend(load({"journalEnabled": False, **given}, {}))
    for cloud in Cloud:
        backend.inherited(cloud)
heavy = {"requests", "urllib3", "huaweicloudsdkcore", "keystoneauth1", "alibabacloud_credentials", "starlette"}
print(sorted(heavy & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script, profile], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgres://user:planted@host/db?sslmode=off", "postgres://host/db"),
        ("postgres://user:pl@nted@host/db/", "postgres://host/db"),
        ("file:///home/me@work/state", "file:///home/me@work/state"),
        ("s3://bucket/me@work", "s3://bucket/me@work"),
    ],
)
def test_where_the_state_is_kept_is_told_without_credentials(url: str, where: str) -> None:
    assert pulumi_backend({"PULUMI_BACKEND_URL": url}) == where
