"""The provider's own methods: handshake, schema, configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
import pytest
from driver import DRS, EngineLog, Plugin, failures, jobs, outputs, refused
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, provider_pb2

from cloudretry.actions import ACTIONS
from cloudretry.emulator import CREDENTIALS, Emulator
from cloudretry.inputs import UNKNOWN
from cloudretry.plugin.marshal import Secret, from_struct, plain, to_struct
from cloudretry.version import __version__

PROVIDER = "urn:pulumi:dev::project::pulumi:providers:cloudretry::default"
DIFF = provider_pb2.DiffResponse


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugin]:
    """A plugin that is never configured, one for all tests that only ask it."""
    plugin = Plugin(tmp_path_factory.mktemp("idle"))
    yield plugin
    plugin.stop()
    assert plugin.printed() == ("", "")


@pytest.fixture
def fresh(start: Callable[..., Plugin]) -> Plugin:
    """A plugin that is not configured yet."""
    return start()


def check_config(plugin: Plugin, **news: Any) -> tuple[dict[str, Any], dict[str, str]]:
    answer = plugin.stub.CheckConfig(provider_pb2.CheckRequest(urn=PROVIDER, news=to_struct(news)))
    return from_struct(answer.inputs), failures(answer)


def diff_config(plugin: Plugin, olds: Mapping[str, Any], news: Mapping[str, Any]) -> provider_pb2.DiffResponse:
    return plugin.stub.DiffConfig(
        provider_pb2.DiffRequest(urn=PROVIDER, old_inputs=to_struct(olds), news=to_struct(news))
    )


def test_the_handshake_accepts_everything_that_the_engine_marks(fresh: Plugin, engine: EngineLog) -> None:
    answer = fresh.stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address=engine.address))
    assert answer.accept_secrets
    assert answer.accept_resources
    assert answer.accept_outputs


def test_the_version_is_the_package_s(idle: Plugin) -> None:
    assert idle.stub.GetPluginInfo(empty_pb2.Empty()).version == __version__


def test_the_schema_has_every_action(idle: Plugin) -> None:
    schema = json.loads(idle.stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)
    assert list(schema["resources"]) == list(ACTIONS)
    assert schema["version"] == __version__


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("huaweicloud", "secretKey"),
        ("huaweicloud", "securityToken"),
        ("huaweicloud", "token"),
        ("huaweicloud", "password"),
        ("alicloud", "secretKey"),
        ("alicloud", "securityToken"),
    ],
)
def test_a_secret_given_in_clear_is_marked_for_the_state(idle: Plugin, section: str, key: str) -> None:
    given = {section: {"region": "eu-de", key: "hidden"}}
    inputs, found = check_config(idle, **given)
    assert found == {}
    assert inputs == {section: {"region": "eu-de", key: Secret("hidden")}}
    inputs, found = check_config(idle, **{section: json.dumps(given[section])})
    assert found == {}
    assert isinstance(inputs[section], Secret)


def test_a_section_without_a_secret_stays_readable(idle: Plugin) -> None:
    inputs, found = check_config(idle, huaweicloud='{"region": "eu-de"}', alicloud={"region": "cn-shanghai"})
    assert found == {}
    assert inputs == {"huaweicloud": '{"region": "eu-de"}', "alicloud": {"region": "cn-shanghai"}}


def test_what_is_secret_already_stays_as_it_is(idle: Plugin) -> None:
    given = {"huaweicloud": Secret({"region": "eu-de", "token": "hidden"}), "emulator": Secret("http://127.0.0.1:1")}
    assert check_config(idle, **given) == (given, {})


def test_an_unknown_key_is_named_with_the_nearest_known_one(idle: Plugin) -> None:
    _, found = check_config(idle, huaweicloud={"regoin": "eu-de"}, emulatr="embedded")
    assert found.keys() == {"huaweicloud.regoin", "emulatr"}
    assert "region" in found["huaweicloud.regoin"]
    assert "emulator" in found["emulatr"]


def test_every_wrong_value_is_named_at_once(idle: Plugin) -> None:
    _, found = check_config(idle, maxConcurrentRequests=0, pollInterval="soon", alicloud="no object")
    assert found.keys() == {"maxConcurrentRequests", "pollInterval", "alicloud"}


def test_a_section_that_cannot_be_read_is_kept_secret(idle: Plugin) -> None:
    inputs, found = check_config(idle, huaweicloud='{"secretKey": "hid')
    assert inputs == {"huaweicloud": Secret('{"secretKey": "hid')}
    assert "hid" not in found["huaweicloud"]


@pytest.mark.parametrize(
    "news",
    [
        {"huaweicloud": UNKNOWN},
        {"huaweicloud": {"region": "eu-de", "projectId": UNKNOWN}},
        {"huaweicloud": {"secretKey": Secret(UNKNOWN), "accessKey": UNKNOWN}},
        {"huaweicloud": {"endpoints": {"drs": UNKNOWN}}},
        {"emulator": UNKNOWN},
        {"maxConcurrentRequests": UNKNOWN},
        {"allowPlainHttp": UNKNOWN},
    ],
)
def test_what_is_not_known_yet_is_taken_for_right(idle: Plugin, news: dict[str, Any]) -> None:
    inputs, found = check_config(idle, **news)
    assert found == {}
    assert plain(inputs) == plain(news)


def test_what_the_engine_adds_for_itself_is_no_unknown_key(idle: Plugin) -> None:
    assert check_config(idle, version="1.2.3", pluginDownloadURL="https://x", __internal={})[1] == {}


@pytest.mark.parametrize(
    ("olds", "news", "changed"),
    [
        ({}, {}, []),
        ({"emulator": "embedded"}, {"emulator": "embedded"}, []),
        ({"emulator": "embedded"}, {"emulator": Secret("embedded")}, []),
        ({"emulator": "embedded"}, {"emulator": UNKNOWN}, ["emulator"]),
        ({"huaweicloud": {"projectId": "a"}}, {"huaweicloud": {"projectId": "b"}}, ["huaweicloud"]),
        ({"huaweicloud": {"region": "a"}}, {"alicloud": {"region": "b"}}, ["huaweicloud", "alicloud"]),
    ],
)
def test_a_changed_configuration_never_replaces(
    idle: Plugin, olds: dict[str, Any], news: dict[str, Any], changed: list[str]
) -> None:
    answer = diff_config(idle, olds, news)
    assert list(answer.diffs) == changed
    assert answer.changes == (DIFF.DIFF_SOME if changed else DIFF.DIFF_NONE)
    assert not answer.replaces
    assert not answer.deleteBeforeReplace
    assert not answer.detailedDiff


SECTION = {
    "region": CREDENTIALS.region,
    "projectId": CREDENTIALS.project_id,
    "accessKey": CREDENTIALS.access_key,
    "secretKey": CREDENTIALS.secret_key,
}


@pytest.mark.parametrize(
    "section",
    [
        SECTION,
        json.dumps(SECTION),
        Secret(json.dumps(SECTION)),
        Secret(SECTION),
        {**SECTION, "secretKey": Secret(CREDENTIALS.secret_key)},
        {**SECTION, "endpoints": json.dumps({})},
    ],
    ids=["object", "JSON", "secret JSON", "secret object", "object with a secret", "JSON in an object"],
)
def test_a_section_may_come_as_an_object_or_as_json(fresh: Plugin, emulator: Emulator, section: Any) -> None:
    endpoints = {"endpoints": {"drs": emulator.url}}
    if isinstance(section, Mapping) and "endpoints" not in section:
        section = {**section, **endpoints}
    fresh.configure(emulator, huaweicloud=section)
    created = outputs(fresh.create({"jobs": jobs("jb1")}))
    assert created["status"] == "Succeeded"


def test_values_of_stack_configuration_come_as_texts(fresh: Plugin, emulator: Emulator) -> None:
    answer = fresh.configure(emulator, maxConcurrentRequests="4", previewChecks="false", requestsPerSecond="50.5")
    assert answer.acceptSecrets
    assert answer.acceptResources
    assert answer.acceptOutputs
    assert answer.supportsPreview


def test_a_configuration_that_cannot_be_used_is_refused_in_one_piece(fresh: Plugin) -> None:
    code, words = refused(fresh.configure, maxConcurrentRequests=0, huaweicloud={"endpoints": {"drs": "ftp://x"}})
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "maxConcurrentRequests" in words
    assert "huaweicloud.endpoints.drs" in words


def test_a_secret_setting_does_not_show_in_the_words_about_another(fresh: Plugin) -> None:
    hidden = "eu-hidden-9"
    _, words = refused(
        fresh.configure, huaweicloud={"region": Secret(hidden), "endpoints": {"drs": f"http://{hidden}"}}
    )
    assert "huaweicloud.endpoints.drs" in words
    assert hidden not in words


def test_a_secret_project_of_the_provider_stays_secret_in_outputs_and_id(fresh: Plugin, emulator: Emulator) -> None:
    fresh.configure(emulator, huaweicloud={"projectId": Secret(CREDENTIALS.project_id)})
    created = fresh.create({"jobs": jobs("jb1")})
    assert outputs(created)["projectId"] == Secret(CREDENTIALS.project_id)
    assert CREDENTIALS.project_id not in created.id


def test_every_configuration_with_an_emulator_warns_once(start: Callable[..., Plugin], emulator: Emulator) -> None:
    engine = EngineLog()
    plugin = start(engine=engine)
    plugin.configure(emulator)
    assert engine.messages(engine_pb2.WARNING) == [
        f"cloudretry:emulator is set ({emulator.url}): no real cloud is called."
    ]
    plugin.create({"jobs": jobs("jb1")})
    assert len(engine.messages(engine_pb2.WARNING)) == 1
    engine.stop()


def test_without_a_configuration_the_words_say_what_is_missing(idle: Plugin) -> None:
    code, words = refused(idle.create, {"jobs": jobs("jb1")})
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "HW_ACCESS_KEY" in words
    assert "cloudretry:emulator embedded" in words


def test_resources_are_checked_and_compared_without_any_configuration(idle: Plugin) -> None:
    assert not idle.check({"jobs": jobs("jb1")}).failures
    assert idle.create({"jobs": jobs("jb1")}, preview=True).properties.fields["jobs"]
    assert DRS in ACTIONS
