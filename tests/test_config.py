from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from cloudretry.config import (
    ENVIRONMENT,
    GIVEN,
    KEY_PAIRS,
    ProviderConfig,
    check_url,
    is_loopback,
    load,
    problems,
    variables,
)
from cloudretry.errors import ConfigurationError


def sentences(given: dict[str, Any]) -> dict[str, str]:
    return {problem.path: problem.reason for problem in problems(given)}


class TestWhereValuesComeFrom:
    def test_nothing_is_needed_and_the_defaults_are_the_documented_ones(self) -> None:
        config = load({}, {})
        assert (config.connect_timeout, config.read_timeout, config.poll_interval) == (10, 60, None)
        assert (config.max_concurrent_requests, config.requests_per_second) == (8, None)
        assert (config.allow_plain_http, config.journal_enabled, config.preview_checks) == (False, True, True)
        assert config.emulator is None
        assert config.sources == {}

    @pytest.mark.parametrize("form", [lambda tree: tree, json.dumps], ids=["a mapping", "JSON text"])
    def test_nested_objects_come_in_both_forms(self, form: Any) -> None:
        config = load({"huaweicloud": form({"region": "eu-de", "endpoints": {"drs": "https://drs.example/"}})}, {})
        assert config.huaweicloud.region == "eu-de"
        assert config.huaweicloud.endpoints.drs == "https://drs.example"

    def test_an_object_inside_an_object_may_be_json_text_too(self) -> None:
        config = load({"huaweicloud": {"assumeRole": '{"agencyName": "ops", "duration": "1h"}'}}, {})
        assert config.huaweicloud.assume_role is not None
        assert (config.huaweicloud.assume_role.agency_name, config.huaweicloud.assume_role.duration) == ("ops", 3600)

    def test_numbers_and_booleans_may_be_texts(self) -> None:
        config = load({"maxConcurrentRequests": "4", "requestsPerSecond": "0.5", "journalEnabled": "false"}, {})
        assert (config.max_concurrent_requests, config.requests_per_second, config.journal_enabled) == (4, 0.5, False)

    def test_a_number_of_the_engine_is_a_float(self) -> None:
        assert load({"maxConcurrentRequests": 4.0}, {}).max_concurrent_requests == 4

    def test_what_is_given_comes_before_the_environment(self) -> None:
        config = load({"huaweicloud": {"region": "eu-de"}}, {"HW_REGION_NAME": "cn-north-4"})
        assert config.huaweicloud.region == "eu-de"
        assert config.sources["huaweicloud.region"] == GIVEN

    def test_the_environment_is_asked_in_the_order_of_the_table(self) -> None:
        environ = {"OS_REGION_NAME": "eu-nl", "HW_REGION_NAME": "eu-de", "OS_TOKEN": "from-openstack"}
        config = load({}, environ)
        assert config.huaweicloud.region == "eu-de"
        assert config.huaweicloud.token is not None
        assert config.huaweicloud.token.get_secret_value() == "from-openstack"
        assert config.sources == {"huaweicloud.region": "HW_REGION_NAME", "huaweicloud.token": "OS_TOKEN"}

    @pytest.mark.parametrize("empty", [None, "", "  "])
    def test_an_empty_value_is_as_if_it_were_not_given(self, empty: str | None) -> None:
        config = load({"huaweicloud": {"region": empty}}, {"HW_REGION_NAME": "eu-de", "HW_PROJECT_ID": ""})
        assert (config.huaweicloud.region, config.huaweicloud.project_id) == ("eu-de", None)

    def test_keys_that_the_engine_adds_for_itself_are_no_problem(self) -> None:
        assert problems({"version": "1.0.0", "pluginDownloadURL": "https://x.example", "__internal": {}}) == []

    def test_a_role_may_come_from_the_environment(self) -> None:
        environ = {"HW_ASSUME_ROLE_AGENCY_NAME": "ops", "HW_ASSUME_ROLE_DOMAIN_NAME": "parent"}
        role = load({}, environ).huaweicloud.assume_role
        assert role is not None
        assert (role.agency_name, role.domain_name) == ("ops", "parent")

    def test_surrounding_space_is_no_part_of_a_value(self) -> None:
        assert load({}, {"HW_REGION_NAME": " eu-de\n"}).huaweicloud.region == "eu-de"


class TestKeyPairs:
    def test_a_pair_is_never_put_together_from_two_accounts(self) -> None:
        environ = {
            "HW_ACCESS_KEY": "hw-ak",
            "HW_SECRET_KEY": "hw-sk",
            "HUAWEICLOUD_SDK_AK": "sdk-ak",
            "HUAWEICLOUD_SDK_SK": "sdk-sk",
            "HUAWEICLOUD_SDK_SECURITY_TOKEN": "sdk-token",
        }
        cloud = load({}, environ).huaweicloud
        assert cloud.access_key == "hw-ak"
        assert cloud.secret_key is not None
        assert cloud.secret_key.get_secret_value() == "hw-sk"
        assert cloud.security_token is None

    def test_a_given_key_takes_its_secret_but_no_security_token_from_the_environment(self) -> None:
        environ = {"HW_SECRET_KEY": "hw-sk", "HW_SECURITY_TOKEN": "of another pair"}
        config = load({"huaweicloud": {"accessKey": "mine"}}, environ)
        assert config.huaweicloud.secret_key is not None
        assert config.huaweicloud.security_token is None
        assert config.sources["huaweicloud.secretKey"] == "HW_SECRET_KEY"

    def test_a_given_project_name_is_not_overruled_by_another_projects_id(self) -> None:
        config = load({"huaweicloud": {"projectName": "eu-de_web"}}, {"HW_PROJECT_ID": "0123"})
        assert (config.huaweicloud.project_name, config.huaweicloud.project_id) == ("eu-de_web", None)

    def test_alibaba_clouds_second_names_count_when_the_first_are_not_set(self) -> None:
        environ = {"ALICLOUD_ACCESS_KEY": "ak", "ALICLOUD_SECRET_KEY": "sk", "ALICLOUD_REGION": "cn-shanghai"}
        config = load({}, environ)
        assert (config.alicloud.access_key, config.alicloud.region) == ("ak", "cn-shanghai")
        assert config.sources["alicloud.secretKey"] == "ALICLOUD_SECRET_KEY"


class TestWhatIsWrong:
    def test_every_problem_is_told_at_once_with_its_path(self) -> None:
        with pytest.raises(ConfigurationError) as refused:
            load({"connectTimeout": "soon", "huaweicloud": {"region": "evil.example/"}}, {"HW_CLOUD": "a b"})
        text = str(refused.value)
        assert "connectTimeout: is not a duration; write a number with its unit" in text
        assert "huaweicloud.region: is not a region" in text
        assert "huaweicloud.cloud (from HW_CLOUD): is not a host suffix such as myhuaweicloud.com" in text

    @pytest.mark.parametrize(
        ("given", "path", "nearest"),
        [
            ({"conectTimeout": "5s"}, "conectTimeout", "connectTimeout"),
            ({"connect_timeout": "5s"}, "connect_timeout", "connectTimeout"),
            ({"huaweicloud": {"regoin": "eu-de"}}, "huaweicloud.regoin", "region"),
            ({"huaweicloud": {"endpoints": {"dsr": "https://x"}}}, "huaweicloud.endpoints.dsr", "drs"),
        ],
    )
    def test_an_unknown_key_is_named_with_the_nearest_known_one(
        self, given: dict[str, Any], path: str, nearest: str
    ) -> None:
        assert sentences(given)[path] == f"is not a key of the configuration; did you mean {nearest}?"

    def test_a_path_that_was_set_as_a_key_is_told_how_to_be_set(self) -> None:
        assert (
            "pulumi config set --path cloudretry:huaweicloud.region"
            in sentences({"huaweicloud.region": "eu-de"})["huaweicloud.region"]
        )

    @pytest.mark.parametrize(
        ("given", "path", "words"),
        [
            ({"journalEnabled": "maybe"}, "journalEnabled", "must be true or false"),
            ({"maxConcurrentRequests": 1.5}, "maxConcurrentRequests", "must be a whole number"),
            ({"maxConcurrentRequests": 0}, "maxConcurrentRequests", "must be at least 1"),
            ({"requestsPerSecond": 0}, "requestsPerSecond", "must be at least 0.001"),
            ({"requestsPerSecond": 1e-300}, "requestsPerSecond", "must be at least 0.001"),
            ({"requestsPerSecond": 1e300}, "requestsPerSecond", "must be at most 10000"),
            ({"requestsPerSecond": float("nan")}, "requestsPerSecond", "must be"),
            ({"readTimeout": "9999999h"}, "readTimeout", "is too long a time"),
            ({"readTimeout": "2h"}, "readTimeout", "must be from 1ms to 1h"),
            ({"connectTimeout": "0.0001ms"}, "connectTimeout", "must be from 1ms to 1h"),
            ({"readTimeout": 60}, "readTimeout", "is not a duration"),
            ({"pollInterval": "0s"}, "pollInterval", "must be from 1ms to 1h"),
            ({"alicloud": "[]"}, "alicloud", "must be an object"),
            ({"alicloud": 5}, "alicloud", "must be an object"),
            ({"caFile": "/nowhere/ca.pem"}, "caFile", "there is no such file"),
            ({"huaweicloud": {"authUrl": "iam.example"}}, "huaweicloud.authUrl", "is not a URL"),
            ({"huaweicloud": {"authUrl": "http://iam.example"}}, "huaweicloud.authUrl", "unencrypted"),
            ({"huaweicloud": {"assumeRole": {}}}, "huaweicloud.assumeRole.agencyName", "is required"),
            (
                {"huaweicloud": {"assumeRole": {"agencyName": "a", "duration": "1s"}}},
                "huaweicloud.assumeRole.duration",
                "must be from 15m to 24h",
            ),
            ({"emulator": "yes"}, "emulator", "is neither a URL such as http://127.0.0.1:8400 nor the word embedded"),
            ({"emulator": "http://192.0.2.1:8400"}, "emulator", "use a loopback address, or set allowPlainHttp"),
            ({"emulator": "https://emulator.example"}, "emulator", "use a loopback address, or set allowPlainHttp"),
        ],
    )
    def test_a_value_that_cannot_be_used_is_told_in_a_sentence(
        self, given: dict[str, Any], path: str, words: str
    ) -> None:
        assert words in sentences(given)[path]
        with pytest.raises(ConfigurationError, match=path):
            load(given, {})

    def test_a_secret_is_in_no_error_and_no_repr(self) -> None:
        given = {"huaweicloud": {"secretKey": "line\nbreak-of-a-secret", "token": {"a": "nested-secret"}}}
        with pytest.raises(ConfigurationError, match=r"huaweicloud\.secretKey: holds a line break") as refused:
            load(given, {})
        shown = str(refused.value) + repr(load({"huaweicloud": {"secretKey": "plain-hush"}}, {}))
        assert not [secret for secret in ("break-of-a-secret", "nested-secret", "plain-hush") if secret in shown]

    @pytest.mark.parametrize(
        "path",
        sorted(
            {
                *ENVIRONMENT,
                *(f"{section}.{key}" for section, rows in KEY_PAIRS.items() for key in rows[0]),
                "journalDir",
                "caFile",
                "pollInterval",
            }
        ),
    )
    def test_no_sentence_holds_the_value_whatever_the_key(self, path: str) -> None:
        """A secret may have been put in any key."""
        for value in ("planted 7Zq\n", 1.5, ["planted 7Zq"], {"planted": "7Zq"}):
            given: dict[str, Any] = {}
            holder = given
            *parents, name = path.split(".")
            for parent in parents:
                holder = holder.setdefault(parent, {})
            holder[name] = value
            assert not [words for words in sentences(given).values() if "7Zq" in words or "1.5" in words]

    def test_plain_http_may_be_allowed(self) -> None:
        config = load({"allowPlainHttp": "true", "emulator": "http://192.0.2.1:8400"}, {})
        assert config.emulator == "http://192.0.2.1:8400"

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:8400", "http://localhost:8400/", "http://[::1]:8400", "embedded"]
    )
    def test_an_emulator_on_this_machine_is_fine(self, url: str) -> None:
        assert load({}, {"CLOUDRETRY_EMULATOR": url}).emulator == url.rstrip("/")

    def test_a_file_in_the_home_folder_is_found(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "ca.pem").touch()
        assert load({"caFile": "~/ca.pem"}, {}).ca_file == str(tmp_path / "ca.pem")


class TestUnknownValues:
    UNKNOWN = object()

    def find(self, given: dict[str, Any]) -> dict[str, str]:
        found = problems(given, lambda value: value is self.UNKNOWN)
        return {problem.path: problem.reason for problem in found}

    def test_they_are_taken_for_right(self) -> None:
        given = {
            "huaweicloud": {"region": self.UNKNOWN, "assumeRole": {"agencyName": self.UNKNOWN}},
            "alicloud": self.UNKNOWN,
            "connectTimeout": self.UNKNOWN,
        }
        assert self.find(given) == {}

    def test_what_stands_beside_them_is_still_checked(self) -> None:
        given = {"huaweicloud": {"region": self.UNKNOWN, "authUrl": "nonsense"}}
        assert list(self.find(given)) == ["huaweicloud.authUrl"]

    def test_plain_http_is_not_complained_about_while_it_may_still_be_allowed(self) -> None:
        assert self.find({"allowPlainHttp": self.UNKNOWN, "emulator": "http://192.0.2.1"}) == {}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://host:99999", "is not a URL"),
        ("https://someone:hidden@host", "without user, query and fragment"),
        ("https://host/?a=b", "without user, query and fragment"),
    ],
)
def test_an_endpoint_is_a_url_of_a_host_and_nothing_more(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        check_url(url, allow_plain_http=True)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("LOCALHOST", True), ("localhost.example", False)],
)
def test_this_machine_is_told_from_others(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("huaweicloud.token", ("HW_AUTH_TOKEN", "OS_TOKEN")),
        ("huaweicloud.secretKey", ("HW_SECRET_KEY", "HUAWEICLOUD_SDK_SK")),
        ("alicloud.accessKey", ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALICLOUD_ACCESS_KEY")),
        ("readTimeout", ()),
    ],
)
def test_the_variables_of_a_key_are_told(path: str, names: tuple[str, ...]) -> None:
    assert variables(path) == names


def test_every_key_has_a_description() -> None:
    def undescribed(model: type[BaseModel]) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            if not field.description or not field.description.endswith("."):
                found.append(name)
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    found += undescribed(kind)
        return found

    assert undescribed(ProviderConfig) == []
