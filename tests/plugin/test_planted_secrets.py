"""Known secrets are planted everywhere that one can be, and then everything that can be seen is searched for them.

The plugin logs all that its libraries have to say at the lowest level, and the cloud is at its worst: it repeats in its
errors whatever it was sent. What the real engine makes of it, its state and its events, is searched in tests/engine.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import grpc
import pytest
from driver import DRS, EHPC, FIVE, POOL, WORKSPACE, EngineLog, Plugin, from_struct, to_struct, urn
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2, status_pb2

from cloudretry.actions import ACTIONS
from cloudretry.config import load
from cloudretry.emulator import CREDENTIALS, Emulator
from cloudretry.plugin.marshal import Secret, plain
from pulumi_cloudretry.dynamic.provider import ActionProvider
from support.echo import ALICLOUD, ENVIRONMENT_OF, HUAWEICLOUD_WAYS, PLANTED, Echo, configuration, places_of_planted

FIRES = {action.fires.name for action in ACTIONS.values()}
VERBOSE = (
    sys.executable,
    "-c",
    "import logging, sys; logging.basicConfig(level=1, stream=sys.stderr); "
    "from cloudretry.plugin.main import main; main()",
)
LOUD = {"DEBUG": "sdk", "PYTHONASYNCIODEBUG": "1", "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.stop()


def texts(value: Any) -> Iterator[str]:
    """Every text in a value that is not marked secret, names included."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
    elif not isinstance(value, Secret):
        yield str(value)


@dataclass
class Seen:
    """Everything that left the plugin, by where it was seen."""

    plugin: Plugin
    folder: Path
    engine: EngineLog
    kept: dict[str, str] = field(default_factory=dict)

    def keep(self, where: str, words: str) -> None:
        self.kept[f"{len(self.kept)} {where}"] = words

    def call(self, name: str, method: Any, request: Any) -> struct_pb2.Struct | None:
        """Call, keep everything that comes back, and give the properties if there are some."""
        try:
            answer = method(request, timeout=30)
        except grpc.RpcError as error:
            self.keep(f"{name} error", error.details())
            metadata = dict(error.trailing_metadata())
            if "grpc-status-details-bin" in metadata:
                return self._init_failed(name, metadata["grpc-status-details-bin"])
            self.keep(f"{name} metadata", str(metadata))
            return None
        for descriptor, value in answer.ListFields():
            is_struct = isinstance(value, struct_pb2.Struct)
            self.keep(f"{name} {descriptor.name}", "\n".join(texts(from_struct(value))) if is_struct else str(value))
        return getattr(answer, "properties", None)

    def _init_failed(self, name: str, content: bytes) -> struct_pb2.Struct:
        status, failed = status_pb2.Status.FromString(content), provider_pb2.ErrorResourceInitFailed()
        assert status.details[0].Unpack(failed)
        self.keep(f"{name} init reasons", "\n".join([status.message, *failed.reasons, failed.id]))
        self.keep(f"{name} init properties", "\n".join(texts(from_struct(failed.properties))))
        self.keep(f"{name} init inputs", "\n".join(texts(from_struct(failed.inputs))))
        return failed.properties

    def process(self) -> None:
        """What the kernel shows of the process to everybody who may list it."""
        self.keep("arguments", Path(f"/proc/{self.plugin.process.pid}/cmdline").read_bytes().decode())

    def end(self) -> dict[str, str]:
        """End the plugin and gather what it printed, logged and wrote."""
        assert self.plugin.stop() == 0
        out, err = self.plugin.printed()
        self.keep("stdout", out)
        self.keep("stderr", err)
        self.keep("engine log", "\n".join(line.message for line in self.engine.lines))
        for path in self.folder.rglob("*"):
            self.keep("name of a file", str(path.name))
            if path.is_file():
                self.keep(f"file {path.name}", path.read_bytes().decode("latin-1"))
        return self.kept


@pytest.fixture
def watch(tmp_path: Path, engine: EngineLog, start: Callable[..., Plugin]) -> Callable[..., Seen]:
    def begin(**environment: str) -> Seen:
        plugin = start(engine=engine, command=VERBOSE, environment={**LOUD, "HOME": str(tmp_path), **environment})
        return Seen(plugin, tmp_path, engine)

    return begin


def go_through_everything(seen: Seen, config: Mapping[str, Any]) -> None:
    """Every call of the protocol that carries configuration, inputs or state."""
    stub = seen.plugin.stub
    struct = to_struct(config)
    seen.call("CheckConfig", stub.CheckConfig, provider_pb2.CheckRequest(urn=urn("pulumi:providers:x"), news=struct))
    for section, slip in product(
        ("huaweicloud", "alicloud"), ({"region": "EU-DE"}, {"regoin": "x"}, {"endpoints": ["x"]})
    ):
        given = plain(config)[section]
        beside = {**(json.loads(given) if isinstance(given, str) else given), **slip}
        wrong = to_struct({**config, section: beside, "readTimeout": Secret(PLANTED["trigger"])})
        request = provider_pb2.CheckRequest(urn=urn("pulumi:providers:x"), news=wrong)
        assert stub.CheckConfig(request).failures
        seen.call("CheckConfig of a slip", stub.CheckConfig, request)
    seen.call("DiffConfig", stub.DiffConfig, provider_pb2.DiffRequest(olds=to_struct({}), news=struct))
    seen.call("Configure", stub.Configure, provider_pb2.ConfigureRequest(args=struct, acceptSecrets=True))
    for token, (inputs, identifier) in FIVE.items():
        old = {**inputs, "triggers": {"a": Secret(PLANTED["oldTrigger"]), "b": {"c": [Secret(PLANTED["oldTrigger"])]}}}
        new = {**inputs, "triggers": {"a": Secret(PLANTED["trigger"])}}
        seen.call("Check", stub.Check, provider_pb2.CheckRequest(urn=urn(token), news=to_struct(old)))
        wrong = {**old, "maxAttempts": Secret(PLANTED["trigger"]), "unknownInput": Secret(PLANTED["trigger"])}
        secret = Secret(PLANTED["trigger"])
        wrong |= {"cooldown": secret, "fireWhen": [secret], "region": {"a": secret}, "onUnknown": Secret([secret])}
        seen.call("Check", stub.Check, provider_pb2.CheckRequest(urn=urn(token), news=to_struct(wrong)))
        preview = provider_pb2.CreateRequest(urn=urn(token), properties=to_struct(old), preview=True)
        seen.call("Create preview", stub.Create, preview)
        create = provider_pb2.CreateRequest(urn=urn(token), properties=to_struct(old), timeout=3)
        state = seen.call("Create", stub.Create, create)
        if state is not None:
            request = {"id": identifier, "urn": urn(token), "olds": state, "news": to_struct(new)}
            seen.call("Diff", stub.Diff, provider_pb2.DiffRequest(**request))
            seen.call("Update", stub.Update, provider_pb2.UpdateRequest(**request, timeout=3))
            seen.call("Read", stub.Read, provider_pb2.ReadRequest(id=identifier, urn=urn(token), properties=state))
        seen.call("Import", stub.Read, provider_pb2.ReadRequest(id=identifier, urn=urn(token)))
    seen.process()


@pytest.mark.parametrize("how", ["object", "JSON text", "marked object", "environment"])
@pytest.mark.parametrize("way", HUAWEICLOUD_WAYS)
def test_a_cloud_that_repeats_everything_gives_nothing_away(
    watch: Callable[..., Seen], echo: Echo, way: str, how: str
) -> None:
    credentials = HUAWEICLOUD_WAYS[way]
    environment: dict[str, str] = {}
    config = configuration(echo, credentials)
    if how == "JSON text":
        config |= {section: json.dumps(config[section]) for section in ("huaweicloud", "alicloud")}
    elif how == "marked object":
        config |= {section: Secret(config[section]) for section in ("huaweicloud", "alicloud")}
    elif how == "environment":
        environment = {ENVIRONMENT_OF[key]: value for key, value in credentials.items() if key in ENVIRONMENT_OF}
        environment |= {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": ALICLOUD["accessKey"],
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ALICLOUD["secretKey"],
            "ALIBABA_CLOUD_SECURITY_TOKEN": ALICLOUD["securityToken"],
        }
        role = {"assumeRole": credentials["assumeRole"]} if "assumeRole" in credentials else {}
        config = configuration(echo, role) | {"alicloud": {"region": "cn-shanghai", "endpoint": echo.url}}
    seen = watch(**environment)

    go_through_everything(seen, config)

    assert any("/batch-retry-task" in path for path in echo.asked)
    assert any(path.startswith("/?ClusterId") for path in echo.asked)
    kept = seen.end()
    assert "X.1" in "".join(kept.values())  # the clouds' words came through
    assert "DEBUG" in next(words for where, words in kept.items() if where.endswith("stderr"))
    assert places_of_planted(kept) == []


def test_keys_of_a_profile_are_given_away_by_nothing(watch: Callable[..., Seen], echo: Echo) -> None:
    seen = watch()
    file = seen.folder / "profiles.json"
    profile = {
        "name": "default",
        "mode": "AKSK",
        "accessKeyId": "AKPLANTED",
        "secretAccessKey": PLANTED["secretKey"],
        "securityToken": PLANTED["securityToken"],
        "region": "eu-de",
    }
    file.write_text(json.dumps({"current": "default", "profiles": [profile]}), encoding="utf-8")
    go_through_everything(seen, configuration(echo, {"sharedConfigFile": str(file)}))
    assert any("/batch-retry-task" in path for path in echo.asked)
    file.unlink()
    assert places_of_planted(seen.end()) == []


@pytest.mark.parametrize("way", ["password", "application credential", "agency"])
def test_a_refused_sign_in_gives_nothing_away(watch: Callable[..., Seen], echo: Echo, way: str) -> None:
    echo.status = 401
    seen = watch()
    go_through_everything(seen, configuration(echo, HUAWEICLOUD_WAYS[way]))
    kept = seen.end()
    assert "HTTP 401" in "".join(kept.values())
    assert places_of_planted(kept) == []


def test_runs_that_succeed_give_nothing_away(watch: Callable[..., Seen], emulator: Emulator) -> None:
    secrets = (CREDENTIALS.secret_key, CREDENTIALS.alicloud_secret_key)
    endpoints = dict.fromkeys(("modelarts", "workspace", "drs", "iam"), emulator.url)
    config = {
        "pollInterval": "50ms",
        "huaweicloud": {
            "region": "eu-de",
            "accessKey": CREDENTIALS.access_key,
            "secretKey": CREDENTIALS.secret_key,
            "endpoints": endpoints,
        },
        "alicloud": {
            "region": "cn-shanghai",
            "accessKey": CREDENTIALS.alicloud_access_key,
            "secretKey": CREDENTIALS.alicloud_secret_key,
            "endpoint": emulator.url,
        },
    }
    seen = watch()
    go_through_everything(seen, config)
    records = list((seen.folder / "home").rglob("places/*/0*"))
    for path in records:
        seen.keep("journal", path.read_text())
    kept = seen.end()
    assert records
    assert {record.operation for record in emulator.requests() if record.effects} == FIRES
    assert places_of_planted(kept, *secrets) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("emulator", f"http://user:{PLANTED['password']}@127.0.0.1:1"),
        ("emulator", f"http://127.0.0.1:1/?token={PLANTED['token']}"),
        ("emulator", PLANTED["token"]),
        ("caFile", f"/nowhere/{'x' * 5}"),
        ("huaweicloud", {"authUrl": f"https://user:{PLANTED['password']}@iam.example/v3"}),
        ("huaweicloud", {"endpoints": {"drs": f"https://drs.example/?key={PLANTED['secretKey']}"}}),
        ("huaweicloud", {"secretKey": f"{PLANTED['secretKey']}\n"[:-1] + "\r\nX"}),
        ("huaweicloud", {"secretkey": PLANTED["secretKey"]}),
        ("huaweicloud", f'{{"secretKey": "{PLANTED["secretKey"]}"'),
        ("alicloud", {"secretKey": {"a": PLANTED["aliSecretKey"]}}),
        ("token", PLANTED["token"]),
    ],
)
def test_a_configuration_that_cannot_be_used_gives_nothing_away(
    watch: Callable[..., Seen], key: str, value: Any
) -> None:
    seen = watch()
    stub, struct = seen.plugin.stub, to_struct({key: value})
    seen.call("Configure", stub.Configure, provider_pb2.ConfigureRequest(args=struct, acceptSecrets=True))
    assert any("cannot be used" in words for words in seen.kept.values())
    failures = stub.CheckConfig(provider_pb2.CheckRequest(urn=urn("pulumi:providers:x"), news=struct)).failures
    assert failures
    seen.keep("CheckConfig", str(failures))
    assert places_of_planted(seen.end()) == []


def test_the_dynamic_classes_keep_nothing_of_the_configuration(
    echo: Echo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from cloudretry.backend import ConfiguredBackend

    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    backends: list[ConfiguredBackend] = []

    def backend(config: str) -> ConfiguredBackend:
        backends.append(ConfiguredBackend(load(json.loads(config), {})))
        return backends[-1]

    monkeypatch.setattr("pulumi_cloudretry.dynamic.provider._backend", backend)
    for way, credentials in HUAWEICLOUD_WAYS.items():
        for token in (POOL, WORKSPACE, DRS, EHPC):
            provider = ActionProvider(token)
            kept = {f"{way} pickle": pickle.dumps(provider).decode("latin-1")}
            provider._config = json.dumps(configuration(echo, credentials))
            inputs = {**FIVE[token][0], "__journalKey": "o/p/s/t/n", "__timeouts": {"create": 3, "update": 3}}
            created = provider.create(inputs)
            kept[f"{way} create"] = json.dumps(created.outs)
            updated = provider.update(created.id, created.outs or {}, {**inputs, "triggers": {"a": "b"}})
            kept[f"{way} update"] = json.dumps(updated.outs)
            assert "X.1" in kept[f"{way} create"]
            assert places_of_planted(kept) == []
    for one in backends:
        one.close()
    journal = {path.name: path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()}
    assert places_of_planted(journal) == []


def test_the_dynamic_classes_show_no_value_of_what_is_wrong() -> None:
    """Its process is handed plain values: any of them may be a secret."""
    provider = ActionProvider(DRS)
    provider._config = json.dumps({"journalEnabled": False})
    wrong = {
        "jobs": [{"jobId": f"{PLANTED['trigger']} a"}, {"jobId": "jb1"}, {"jobId": "jb1"}],
        "triggers": PLANTED["trigger"],
        "cooldown": PLANTED["trigger"],
        "maxAttempts": PLANTED["trigger"],
        "fireWhen": PLANTED["trigger"],
    }
    found = provider.check({}, wrong).failures
    assert len(found) == 6
    assert {failure.property for failure in found} == {""}
    assert places_of_planted({"check": str([failure.reason for failure in found])}) == []


def test_the_dynamic_classes_refuse_a_secret_that_names_a_target() -> None:
    for token, (inputs, _) in FIVE.items():
        provider = ActionProvider(token)
        provider._config = json.dumps({"journalEnabled": False})
        news = {**inputs, "region": "eu-de", "triggers": {"a": "b"}}
        assert provider.check({}, {**news, "__secrets": ["triggers"]}).failures == []
        found = provider.check({}, {**news, "__secrets": list(news)}).failures
        assert {failure.reason.partition(":")[0] for failure in found} == {*inputs, "region"}
        assert all("plugin's class" in failure.reason for failure in found)
