"""Known secrets are planted where the command line takes them, and all that it prints and writes is searched for them.

The cloud is at its worst: it repeats in its errors whatever it was sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import DRS, CommandLine, Done
from open_fires import open_fires

from cloudretry.emulator import CREDENTIALS, Emulator
from support.echo import ALICLOUD, ENVIRONMENT_OF, HUAWEICLOUD_WAYS, PLANTED, Echo, configuration, places_of_planted

FAILED = {"count": 1, "results": [{"id": "jb1", "status": "FULL_TRANSFER_FAILED"}]}


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.stop()


class Seen:
    """Everything that commands printed and wrote, by where it was seen. ``given`` are the files that tests wrote."""

    def __init__(self, cloudretry: CommandLine, *given: Path) -> None:
        self._cloudretry = cloudretry
        self._given = given
        self.kept: dict[str, str] = {}

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        done = self._cloudretry(*arguments, stdin=stdin, DEBUG="sdk", PYTHONASYNCIODEBUG="1", **environment)
        assert "Traceback" not in done.err
        self.kept |= {f"{' '.join(arguments)}: stdout": done.out, f"{' '.join(arguments)}: stderr": done.err}
        return done

    def places(self, *more: str) -> list[tuple[str, str]]:
        """Where planted secrets were seen, files among them, with their names."""
        for path in self._cloudretry.folder.rglob("*"):
            if path not in self._given:
                content = path.read_bytes().decode("latin-1") if path.is_file() else ""
                self.kept[str(path)] = f"{path.name}\n{content}"
        return places_of_planted(self.kept, *more)


@pytest.mark.parametrize("way", HUAWEICLOUD_WAYS)
def test_a_cloud_that_repeats_everything_gives_nothing_away(alone: CommandLine, echo: Echo, way: str) -> None:
    echo.answers["/batch-status"] = FAILED
    echo.status = 500
    file = alone.folder / "provider.json"
    file.write_text(json.dumps(configuration(echo, HUAWEICLOUD_WAYS[way])))
    seen = Seen(alone, file)

    triggers = json.dumps({"triggers": {"a": PLANTED["trigger"]}})
    fire = ("fire", DRS, "jb1", "--yes", "--timeout", "1s", "--inputs", "-", "--config", str(file))
    assert seen(*fire, stdin=triggers).code == 3
    assert "X.1" in "".join(entry.read_text() for entry in alone.journal.glob("places/*/0*"))
    echo.status = 400
    echo.answers.clear()
    told = seen(*fire, "--json", stdin=triggers)
    assert (told.code, "X.1" in told.out) == (2, True)
    assert seen.places() == []


def test_what_a_cloud_repeats_is_not_told_by_any_other_command(alone: CommandLine, echo: Echo) -> None:
    echo.answers["/batch-status"] = FAILED
    file = alone.folder / "provider.json"
    file.write_text(json.dumps(configuration(echo, HUAWEICLOUD_WAYS["agency"])))
    given = ("--config", str(file))
    seen = Seen(alone, file)

    refused = seen("fire", DRS, "jb1", "--yes", "--json", *given)
    assert (refused.code, "X.1" in refused.out) == (1, True)
    echo.status = 500
    assert seen("fire", DRS, "jb1", "--yes", "--timeout", "1s", *given).code == 3
    (record,) = open_fires(alone.journal)
    assert seen("journal", "list", *given).code == 0
    assert "X.1" in seen("journal", "show", record.fire_id, "--json", *given).out
    assert seen("journal", "resolve", record.fire_id, "--outcome", "fired", "--yes", *given).code == 0
    echo.answers.clear()
    assert "X.1" in seen("status", DRS, "jb1", *given).err
    assert seen("doctor", "--json", *given).code == 1
    assert seen.places() == []


def test_a_cloud_that_repeats_what_the_environment_holds_gives_nothing_away(alone: CommandLine, echo: Echo) -> None:
    file = alone.folder / "provider.json"
    endpoints = dict.fromkeys(("modelarts", "workspace", "drs", "iam"), echo.url)
    places = {
        "huaweicloud": {"region": "eu-de", "projectId": "p1", "endpoints": endpoints},
        "alicloud": {"region": "cn-shanghai", "endpoint": echo.url},
    }
    file.write_text(json.dumps(places))
    environment = {ENVIRONMENT_OF[key]: value for key, value in HUAWEICLOUD_WAYS["access key"].items()}
    environment |= {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": ALICLOUD["accessKey"],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ALICLOUD["secretKey"],
        "ALIBABA_CLOUD_SECURITY_TOKEN": ALICLOUD["securityToken"],
    }
    seen = Seen(alone)
    for arguments in (
        ("fire", "ehpc:JobRerun", "ehpc-1:1.scheduler", "--yes"),
        ("status", "ehpc:JobRerun", "ehpc-1:1.scheduler", "--json"),
        ("status", "modelarts:PoolScopeRetry", "pool-a:Infer"),
        ("doctor",),
    ):
        done = seen(*arguments, "--config", str(file), **environment)
        assert done.code in (1, 2)
        assert "X.1" in done.out + done.err
    assert seen.places() == []


@pytest.mark.parametrize("way", ["password", "agency"])
def test_a_refused_sign_in_gives_nothing_away(alone: CommandLine, echo: Echo, way: str) -> None:
    echo.status = 401
    file = alone.folder / "provider.json"
    file.write_text(json.dumps(configuration(echo, HUAWEICLOUD_WAYS[way])))
    seen = Seen(alone, file)
    for arguments in (("fire", DRS, "jb1", "--yes"), ("doctor", "--json")):
        assert (
            "401"
            in "".join(seen(*arguments, "--config", str(file)).out)
            + seen.kept[f"{' '.join([*arguments, '--config', str(file)])}: stderr"]
        )
    assert seen.places() == []


def test_a_retry_that_goes_well_gives_nothing_away(alone: CommandLine, emulator: Emulator) -> None:
    file = alone.folder / "provider.json"
    keys = {"accessKey": CREDENTIALS.access_key, "secretKey": CREDENTIALS.secret_key}
    keys["projectId"] = CREDENTIALS.project_id
    file.write_text(json.dumps(configuration(emulator, keys)))
    seen = Seen(alone, file)
    assert seen("fire", DRS, "jb1", "--yes", "--json", "--config", str(file)).code == 0
    assert seen.places(CREDENTIALS.secret_key) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("huaweicloud: {secretKey: [planted-content", "it is neither YAML nor JSON"),
        ("huaweicloud: {secretKey: [planted-content]}", "huaweicloud.secretKey"),
        ("huaweicloud: {secretKy: planted-content}", "huaweicloud.secretKy"),
        ("- planted-content", "is not a mapping of the provider's keys"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_without_what_it_holds(
    alone: CommandLine, content: str, words: str
) -> None:
    file = alone.folder / "provider.yaml"
    file.write_text(content)
    seen: Callable[..., Done] = Seen(alone, file)
    done = seen("status", DRS, "jb1", "--config", str(file))
    assert done.code == 2
    assert words in done.err
    assert "planted-content" not in done.err + done.out
