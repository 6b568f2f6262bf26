"""The client of Alibaba Cloud against the emulator and against the signer of the official V3 client."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from cloudretry.actions import OPERATIONS
from cloudretry.clouds import connect
from cloudretry.config import load
from cloudretry.emulator import CREDENTIALS, Emulator
from cloudretry.errors import ConfigurationError, CredentialsError, InvalidInput, NoAnswer
from cloudretry.model import Cloud, CloudClient, Request

Connect = Callable[..., CloudClient]

CLUSTER = "ehpc-sh-3VeFyR7kQm"
LIST = Request(OPERATIONS["ListJobs"], query={"ClusterId": CLUSTER, "PageNumber": "1", "PageSize": "50"})
FIRE = Request(
    OPERATIONS["RerunJobs"], query={"ClusterId": CLUSTER, "Jobs": '[{"Id":"1.scheduler"}]', "Async": "false"}
)
KEYS = {"accessKey": CREDENTIALS.alicloud_access_key, "secretKey": CREDENTIALS.alicloud_secret_key}
TEMPORARY = {
    "accessKey": CREDENTIALS.alicloud_temporary_access_key,
    "secretKey": CREDENTIALS.alicloud_temporary_secret_key,
    "securityToken": CREDENTIALS.alicloud_security_token,
}


@pytest.mark.parametrize("keys", [KEYS, TEMPORARY], ids=["access key", "temporary access key"])
@pytest.mark.parametrize("request_", [LIST, FIRE], ids=lambda request: request.operation.name)
def test_every_call_is_let_in(alicloud: Connect, emulator: Emulator, keys: dict[str, str], request_: Request) -> None:
    client = alicloud(emulator.url, **keys)
    reply = client.send(request_)
    assert reply.error is None
    assert reply.body["RequestId"] == reply.request_id
    assert (client.region, client.project_id, client.emulator) == ("cn-shanghai", "", False)


def test_each_request_has_a_nonce_of_its_own(alicloud: Connect, emulator: Emulator) -> None:
    client = alicloud(emulator.url, **KEYS)
    assert [client.send(LIST).status for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("keys", [KEYS, TEMPORARY], ids=["access key", "temporary access key"])
@pytest.mark.parametrize("value", ["", "a b", "a/b+c&d=e?f#g", "100%", "~-_.*", "ä€😀", '[{"Id":"1.s"}]'])
def test_the_official_clients_signer_comes_to_the_same_signature(
    alicloud: Connect, cloudlike: Any, keys: dict[str, str], value: str
) -> None:
    from alibabacloud_tea_openapi.utils import Utils  # type: ignore[import-untyped]

    alicloud(cloudlike.url, **keys).send(Request(OPERATIONS["RerunJobs"], query={"Jobs": value, "A": "1"}))
    (seen,) = cloudlike.seen
    proof = re.fullmatch(
        r"ACS3-HMAC-SHA256 Credential=(.+),SignedHeaders=(.+),Signature=([0-9a-f]{64})", seen.headers["authorization"]
    )
    assert proof is not None
    names = proof[2].split(";")
    assert {name for name in seen.headers if name.startswith("x-acs-")} | {"host"} == set(names)
    arrived = SimpleNamespace(
        method=seen.method,
        pathname=urlsplit(seen.target).path,
        query=dict(parse_qsl(urlsplit(seen.target).query, keep_blank_values=True)),
        headers={name: seen.headers[name] for name in names},
    )
    assert arrived.query == {"Jobs": value, "A": "1"}
    recomputed = Utils.get_authorization(
        arrived,
        "ACS3-HMAC-SHA256",
        Utils.hash(seen.body, "ACS3-HMAC-SHA256").hex(),
        keys["accessKey"],
        keys["secretKey"],
    )
    assert recomputed == seen.headers["authorization"]


def test_a_fire_is_a_post_with_everything_in_the_query(alicloud: Connect, cloudlike: Any) -> None:
    alicloud(cloudlike.url, **TEMPORARY).send(FIRE)
    (seen,) = cloudlike.seen
    assert (seen.method, seen.body) == ("POST", b"")
    assert urlsplit(seen.target).path == "/"
    assert dict(parse_qsl(urlsplit(seen.target).query)) == FIRE.query
    assert (seen.headers["x-acs-action"], seen.headers["x-acs-version"]) == ("RerunJobs", "2018-04-12")
    assert seen.headers["x-acs-security-token"] == CREDENTIALS.alicloud_security_token
    assert seen.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("change", "code", "remedy"),
    [
        ({"secretKey": "wrong-secret"}, "SignatureDoesNotMatch", "The secretKey is not that of the accessKey."),
        ({"accessKey": "NOBODY"}, "InvalidAccessKeyId.NotFound", "Check accessKey and secretKey."),
        ({"securityToken": "wrong-secret"}, "InvalidSecurityToken.Malformed", "Get new temporary keys"),
    ],
)
def test_a_refused_key_is_explained_without_its_secret(
    alicloud: Connect, emulator: Emulator, change: dict[str, str], code: str, remedy: str
) -> None:
    reply = alicloud(emulator.url, **{**TEMPORARY, **change}).send(FIRE)
    assert reply.error is not None
    assert reply.error.code == code
    assert remedy in reply.error.remedy
    assert "wrong-secret" not in f"{reply.error} {reply.excerpt}"
    assert reply.error.request_id


def test_a_security_token_that_the_cloud_repeats_is_blotted_out(alicloud: Connect, cloudlike: Any) -> None:
    body = json.dumps({"Code": "X", "Message": f"you sent {CREDENTIALS.alicloud_security_token}"}).encode()
    cloudlike.script = lambda _request: SimpleNamespace(status=400, body=body, headers={})
    reply = alicloud(cloudlike.url, **TEMPORARY).send(LIST)
    assert reply.error is not None
    assert (reply.error.message, CREDENTIALS.alicloud_security_token in reply.excerpt) == ("you sent ***", False)


def test_a_dropped_fire_is_no_answer_and_is_not_sent_again(alicloud: Connect, emulator: Emulator) -> None:
    emulator.add_fault("RerunJobs", drop="after", times=None)
    with pytest.raises(NoAnswer):
        alicloud(emulator.url, **KEYS).send(FIRE)
    assert len(emulator.requests("RerunJobs")) == 1


def test_the_emulator_takes_the_place_of_endpoint_and_credentials(emulator: Emulator) -> None:
    config = load({"alicloud": {"accessKey": "real", "secretKey": "real", "endpoint": "https://real.example"}}, {})
    client = connect(Cloud.ALICLOUD, config, emulator_url=emulator.url)
    assert client.send(LIST).ok
    assert (client.region, client.emulator) == ("cn-shanghai", True)


def test_the_endpoint_follows_from_the_region() -> None:
    client: Any = connect(Cloud.ALICLOUD, load({"alicloud": KEYS}, {}), region="cn-beijing")
    assert (client.region, client.endpoint) == ("cn-beijing", "https://ehpc.cn-beijing.aliyuncs.com")


def test_a_missing_region_is_told_how_to_be_given() -> None:
    with pytest.raises(ConfigurationError, match=r"No region for Alibaba Cloud\. Set ALIBABA_CLOUD_REGION_ID"):
        connect(Cloud.ALICLOUD, load({"alicloud": KEYS}, {}))


def test_a_region_that_would_make_up_another_host_is_refused() -> None:
    with pytest.raises(InvalidInput, match="region: is not a region"):
        connect(Cloud.ALICLOUD, load({"alicloud": KEYS}, {}), region="evil.example/")


def test_half_a_key_pair_is_told_what_it_lacks(alicloud: Connect) -> None:
    with pytest.raises(CredentialsError, match=r"alicloud\.accessKey cannot be used without secretKey"):
        alicloud("http://127.0.0.1:1", accessKey="ak")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({**KEYS, "profile": "work"}, CREDENTIALS.alicloud_access_key),
        ({}, "from-the-environment"),
    ],
    ids=["given keys before a profile", "keys of the environment"],
)
def test_the_order_of_sources(alicloud: Connect, cloudlike: Any, given: dict[str, str], used: str) -> None:
    environ = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "from-the-environment", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "sk"}
    alicloud(cloudlike.url, environ, **given).send(LIST)
    assert f"Credential={used}," in cloudlike.seen[0].headers["authorization"]


class TestTheOfficialChain:
    """In a process of its own: the library reads environment and home folder when it is imported."""

    SCRIPT = """
import json, os, sys
from cloudretry.clouds import connect
from cloudretry.config import load
from cloudretry.errors import CredentialsError
from cloudretry.model import Cloud, Request
from cloudretry.operation import Operation

given = {"region": "cn-shanghai", **json.loads(sys.argv[1])}
client = connect(Cloud.ALICLOUD, load({"alicloud": given}, os.environ))
try:
    print(client.send(Request(Operation("ListJobs", "ehpc", "GET", "/"))).status)
except CredentialsError as error:
    print(error)
"""
    PROFILES = {  # noqa: RUF012 - read only
        "current": "work",
        "profiles": [
            {"name": "work", "mode": "AK", "access_key_id": "ak-of-work", "access_key_secret": "sk"},
            {
                "name": "other",
                "mode": "StsToken",
                "access_key_id": "ak-of-other",
                "access_key_secret": "sk",
                "sts_token": "st",
            },
        ],
    }

    def run(self, home: Path, url: str, given: dict[str, str], **environ: str) -> str:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(("ALIBABA", "ALICLOUD", "HTTP", "NO_PROXY", "ALL_PROXY"))
        }
        settings = {"HOME": str(home), "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true", **environ}
        done = subprocess.run(
            [sys.executable, "-c", self.SCRIPT, json.dumps({"endpoint": url, **given})],
            env={**clean, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        (tmp_path / ".aliyun").mkdir()
        (tmp_path / ".aliyun/config.json").write_text(json.dumps(self.PROFILES))
        (tmp_path / ".alibabacloud").mkdir()
        (tmp_path / ".alibabacloud/credentials.ini").write_text(
            "[third]\nenable=true\ntype=access_key\naccess_key_id=ak-of-third\naccess_key_secret=sk\n"
        )
        return tmp_path

    @pytest.mark.parametrize(
        ("given", "environ", "used"),
        [
            ({}, {}, "ak-of-work"),
            ({}, {"ALIBABA_CLOUD_PROFILE": "other"}, "ak-of-other"),
            ({}, {"ALICLOUD_PROFILE": "other"}, "ak-of-other"),
            (
                {"profile": "other"},
                {"ALIBABA_CLOUD_ACCESS_KEY_ID": "ak", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "sk"},
                "ak-of-other",
            ),
            ({"profile": "third"}, {}, "ak-of-third"),
        ],
        ids=[
            "the CLI's current profile",
            "the profile of the environment",
            "the profile by its second name",
            "a given profile before keys of the environment",
            "a profile of the credentials file",
        ],
    )
    def test_a_profile_gives_the_keys(
        self, cloudlike: Any, home: Path, given: dict[str, str], environ: dict[str, str], used: str
    ) -> None:
        assert self.run(home, cloudlike.url, given, **environ) == "200"
        assert f"Credential={used}," in cloudlike.seen[0].headers["authorization"]

    def test_without_any_the_error_names_the_quickest_ways_to_give_some(self, cloudlike: Any, tmp_path: Path) -> None:
        said = self.run(tmp_path, cloudlike.url, {})
        for way in ("ALIBABA_CLOUD_ACCESS_KEY_ID", "`aliyun configure`", "ALIBABA_CLOUD_PROFILE", "emulator embedded"):
            assert way in said
        assert cloudlike.seen == []

    def test_a_profile_that_is_not_there_is_named(self, cloudlike: Any, home: Path) -> None:
        assert "There are no keys in the profile 'nobody'." in self.run(home, cloudlike.url, {"profile": "nobody"})


def test_no_secret_shows_in_what_is_printed(alicloud: Connect) -> None:
    client: Any = alicloud("http://127.0.0.1:1", **TEMPORARY)
    shown = repr(vars(client)) + repr(client._keys())
    assert CREDENTIALS.alicloud_temporary_access_key in shown
    assert CREDENTIALS.alicloud_temporary_secret_key not in shown
    assert CREDENTIALS.alicloud_security_token not in shown


def test_the_signature_is_dated_by_the_given_clock(cloudlike: Any) -> None:
    config = load({"alicloud": {"region": "cn-shanghai", "endpoint": cloudlike.url, **KEYS}}, {})
    connect(Cloud.ALICLOUD, config, clock=lambda: 1_767_225_600.0).send(LIST)
    assert cloudlike.seen[0].headers["x-acs-date"] == "2026-01-01T00:00:00Z"
