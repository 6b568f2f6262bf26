"""Whether a configuration would let a fire through, found out without firing: ``cloudretry doctor``.

It asks each status call for a target that does not exist. "There is no such target" is the good answer: the request
was signed right, and its sender may look. It cannot ask whether the fire itself is permitted; that shows in a fire.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, SecretStr

from cloudretry import durations
from cloudretry.actions import ACTIONS, Action
from cloudretry.backend import embedded_emulator, journal_folder
from cloudretry.bounds import LONGEST_MESSAGE
from cloudretry.clouds import alicloud_profile, connect, huaweicloud_profile, huaweicloud_sites
from cloudretry.clouds.alicloud import AlicloudClient
from cloudretry.clouds.huaweicloud import HuaweicloudClient
from cloudretry.clouds.redaction import Redaction
from cloudretry.config import EMBEDDED, GIVEN, ProviderConfig, load
from cloudretry.errors import CloudRefused, CloudRetryError, ConfigurationError, CredentialsError, JournalError
from cloudretry.folders import read_text
from cloudretry.http import Transport
from cloudretry.ledger import Journal
from cloudretry.model import Cloud, CloudClient, Place, Request, Target
from cloudretry.operation import Operation
from cloudretry.text import one_line, shortened

__all__ = ["Diagnosis", "Finding", "Report", "Setting", "Verdict", "examine", "from_file", "from_stack"]

CLOCK_TOLERANCE = 900.0
"""Seconds that the gateways allow a request's date to be off."""

_CLOCK_GRAIN = 2.0
"""A Date header is in whole seconds, and an answer takes its time."""

_NAMES = {Cloud.HUAWEICLOUD: "Huawei Cloud", Cloud.ALICLOUD: "Alibaba Cloud"}
_PROJECTS = Operation("KeystoneListProjects", "iam", "GET", "/v3/projects")
_NOT_PUBLISHED = frozenset({"APIGW.0101", "APIG.0101"})
_STANDS_IN_THE_WAY = frozenset({"NotEnabled", "InDebt"})
"""Codes of a 400 that mean that no request of this account will be served."""


class Verdict(StrEnum):
    """What a finding means for a fire."""

    YES = "yes"
    NO = "no"
    NOT_HERE = "not here"
    """The cloud does not offer it, as the action's page says it may."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the configuration. A secret's value is not in it."""

    key: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. ``name`` is a service's action, or what else was looked at."""

    name: str
    verdict: Verdict
    words: str
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found out about one cloud."""

    cloud: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found out."""

    settings: tuple[Setting, ...]
    findings: tuple[Finding, ...]
    clouds: tuple[Diagnosis, ...]

    @property
    def ok(self) -> bool:
        every = [*self.findings, *(finding for diagnosis in self.clouds for finding in diagnosis.findings)]
        return all(finding.verdict is not Verdict.NO for finding in every)

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {"ok": self.ok, **asdict(self)}

    def lines(self) -> Iterator[str]:
        """The report as lines for people."""
        yield "Settings"
        yield from _columns((setting.key, setting.value, setting.source) for setting in self.settings)
        sections = [("This machine", self.findings)] if self.findings else []
        for title, findings in [*sections, *((diagnosis.cloud, diagnosis.findings) for diagnosis in self.clouds)]:
            yield ""
            yield title
            yield from _columns((finding.verdict, finding.name, finding.words) for finding in findings)


def from_stack(name: str, folder: Path | None = None) -> dict[str, Any]:
    """The provider's configuration in a stack of the project in ``folder`` (default: here), decrypted.

    :raises ConfigurationError: the Pulumi CLI does not give it.
    """
    command = ["pulumi", "config", "--json", "--show-secrets", "--non-interactive", "--stack", name]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)  # noqa: S603
    except FileNotFoundError:
        raise ConfigurationError(
            f"The configuration of stack {name} cannot be read: the Pulumi CLI, pulumi, is not on PATH"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"The configuration of stack {name} cannot be read: {error}") from None
    if done.returncode:
        said = shortened(one_line(done.stderr.decode("utf-8", "replace")), LONGEST_MESSAGE)
        words = said or f"pulumi ended with {done.returncode}"
        raise ConfigurationError(f"The configuration of stack {name} cannot be read: {words}")
    try:
        entries = json.loads(done.stdout or "{}").items()
        prefix = "cloudretry:"
        return {
            key.removeprefix(prefix): entry.get("objectValue", entry.get("value"))
            for key, entry in entries
            if key.startswith(prefix)
        }
    except (ValueError, RecursionError, AttributeError):
        raise ConfigurationError(f"The configuration of stack {name} cannot be read: it is not JSON") from None


def from_file(path: Path) -> dict[str, Any]:
    """The provider's keys in a YAML or JSON file, as an explicit provider takes them.

    :raises ConfigurationError: it cannot be read, or is something else.
    """
    try:
        content = yaml.safe_load(read_text(path))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError, yaml.YAMLError):
        # A parser quotes the line that it cannot read, and the line may hold a key.
        raise ConfigurationError(f"{path} cannot be read: it is neither YAML nor JSON") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} is not a mapping of the provider's keys, such as huaweicloud and alicloud")
    return content


def examine(
    given: Mapping[str, Any],
    environ: Mapping[str, str] = os.environ,
    *,
    given_by: str = GIVEN,
    clouds: Sequence[Cloud] = (),
    clock: Callable[[], float] = time.time,
) -> Report:
    """Find out whether fires would be let through. Fires nothing.

    ``clouds`` are those that must be fit for use; without any, those that something is set for. ``given_by`` names the
    source of what is given; ``clock`` is seconds since the epoch.

    :raises ConfigurationError: the configuration cannot be used; the text lists every problem.
    """
    config = load(given, environ)
    hide = _hiding(config)
    with ExitStack() as undo:
        url = None if config.emulator == EMBEDDED else config.emulator
        if config.emulator == EMBEDDED:
            emulator = embedded_emulator()
            undo.callback(emulator.stop)
            url = emulator.url
        wanted = [cloud for cloud in Cloud if cloud in clouds or not clouds]
        found = {cloud: _Examination(cloud, config, url, clock).findings() for cloud in wanted}
    if not clouds and not url:
        used = {cloud: findings for cloud, findings in found.items() if not _is_unused(cloud, config, findings)}
        found = used or found
    return Report(
        tuple(_settings(config, given_by)),
        tuple(_hidden(hide, finding) for finding in _of_this_machine(config)),
        tuple(
            Diagnosis(_NAMES[cloud], tuple(_hidden(hide, finding) for finding in findings))
            for cloud, findings in found.items()
        ),
    )


def _is_unused(cloud: Cloud, config: ProviderConfig, findings: Sequence[Finding]) -> bool:
    """Whether nothing says that this cloud is meant, and it cannot be used."""
    is_set = any(path.startswith(f"{cloud.value}.") for path in config.sources)
    return not is_set and all(finding.verdict is Verdict.NO for finding in findings)


def _hiding(config: ProviderConfig) -> Redaction:
    hide = Redaction()
    for section in (config.huaweicloud, config.alicloud):
        for name in type(section).model_fields:
            value = getattr(section, name)
            if isinstance(value, SecretStr):
                hide.add(value.get_secret_value())
    return hide


def _hidden(hide: Redaction, finding: Finding) -> Finding:
    return Finding(finding.name, finding.verdict, hide(finding.words), finding.endpoint)


# --- settings ---


def _settings(config: ProviderConfig, given_by: str) -> Iterator[Setting]:
    for path, value in _values(config):
        source = config.sources.get(path)
        if source is not None or value is not None:
            where = {GIVEN: given_by, None: "default"}.get(source, source)
            yield Setting(path, _shown(path, value), where or "")


def _values(section: BaseModel, at: str = "") -> Iterator[tuple[str, Any]]:
    for name, field_ in type(section).model_fields.items():
        path, value = f"{at}{field_.alias or name}", getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _values(value, f"{path}.")
        else:
            yield path, value


def _shown(path: str, value: Any) -> str:
    if isinstance(value, SecretStr):
        return "(secret)"
    if isinstance(value, bool):
        return str(value).lower()
    is_duration = isinstance(value, float) and path != "requestsPerSecond"
    return durations.show(value) if is_duration else str(value)


def _of_this_machine(config: ProviderConfig) -> Iterator[Finding]:
    if not config.journal_enabled:
        yield Finding("journal", Verdict.YES, "switched off: a run cut off in the middle of a fire may fire twice")
        return
    folder = journal_folder(config)
    try:
        Journal(folder).try_out()
    except JournalError as error:
        yield Finding("journal", Verdict.NO, str(error))
    else:
        yield Finding("journal", Verdict.YES, f"{folder} can be written, with hard links and locks")


# --- one cloud ---


@dataclass(frozen=True, slots=True)
class _Examination:
    """Looks at one cloud through the client that fires would go through."""

    cloud: Cloud
    config: ProviderConfig
    emulator_url: str | None
    clock: Callable[[], float]

    def findings(self) -> list[Finding]:
        try:
            client = connect(self.cloud, self.config, emulator_url=self.emulator_url, clock=self.clock)
        except CloudRetryError as error:
            what = "credentials" if isinstance(error, CredentialsError) else "region"
            return [Finding(what, Verdict.NO, str(error)), *self._not_asked()]
        try:
            return list(self._with(client))
        finally:
            client.close()

    def _actions(self) -> list[Action[Any]]:
        return [action for action in ACTIONS.values() if action.cloud is self.cloud]

    def _not_asked(self, actions: Sequence[Action[Any]] | None = None) -> list[Finding]:
        # One refused signature is enough: after five the gateway locks the key for five minutes.
        words = "not asked, because of what stands above"
        return [Finding(_name(action), Verdict.NO, words) for action in actions or self._actions()]

    def _with(self, client: CloudClient) -> Iterator[Finding]:
        credentials = self._credentials(client)
        is_set = f"{self.cloud.value}.region" in self.config.sources
        derived = "" if is_set else ", the emulator's" if client.emulator else ", that of the profile"
        yield credentials
        yield Finding("region", Verdict.YES, f"{client.region}{derived}{self._site(client)}")
        yield from self._compared_clock(_endpoints(client))
        if credentials.verdict is Verdict.NO:
            yield from self._not_asked()
            return
        if isinstance(client, HuaweicloudClient):
            project = _project(client)
            yield project
            if project.verdict is Verdict.NO:
                yield from self._not_asked()
                return
        first, *others = self._actions()
        finding, is_refused = _look(client, first)
        yield finding
        if is_refused:
            yield from self._not_asked(others)
        elif others:
            with ThreadPoolExecutor(len(others)) as pool:
                yield from (finding for finding, _ in pool.map(lambda action: _look(client, action), others))

    def _site(self, client: CloudClient) -> str:
        """The site that the services are at because the identity service is."""
        follows = {"huaweicloud.authUrl", "huaweicloud.cloud"} & self.config.sources.keys() == {"huaweicloud.authUrl"}
        if client.emulator or self.cloud is not Cloud.HUAWEICLOUD or not follows:
            return ""
        return f"; {huaweicloud_sites.site(self.config, client.region)}, the site of authUrl"

    def _credentials(self, client: CloudClient) -> Finding:
        if client.emulator:
            words = f"the emulator's own, at {self.emulator_url}; no cloud is called"
            return Finding("credentials", Verdict.YES, words)
        try:
            return Finding("credentials", Verdict.YES, self._credentials_words(client))
        except CloudRetryError as error:
            return Finding("credentials", Verdict.NO, str(error))

    def _credentials_words(self, client: CloudClient) -> str:
        if isinstance(client, AlicloudClient):
            kind = alicloud_profile.chosen_kind(self.config)
            source = client.keys_source
            return self._kind_words(kind) if kind == "accessKey" else f"{kind}: {source}"
        cloud = self.config.huaweicloud
        kind = huaweicloud_profile.chosen_kind(self.config)
        words = self._kind_words(kind)
        if kind == "profile":
            words = f"profile {cloud.profile or 'that is current'} in {huaweicloud_profile.profile_file(cloud)}"
        return f"{words}, to take on the agency {cloud.assume_role.agency_name}" if cloud.assume_role else words

    def _kind_words(self, kind: str) -> str:
        return f"{kind} (from {self.config.sources.get(f'{self.cloud.value}.{kind}', GIVEN)})"

    def _compared_clock(self, endpoints: Sequence[str]) -> Iterator[Finding]:
        """How far this machine's clock is from the first that says its own. It takes no credentials to ask."""
        transport = Transport(
            connect_timeout=self.config.connect_timeout,
            read_timeout=self.config.read_timeout,
            ca_file=self.config.ca_file,
            allow_plain_http=self.config.allow_plain_http,
        )
        with closing(transport):
            for endpoint in dict.fromkeys(endpoints):
                try:
                    date = transport.send("GET", endpoint, {}).headers.get("Date", "")
                    offset = self.clock() - parsedate_to_datetime(date).timestamp()
                except (CloudRetryError, ValueError, TypeError, ArithmeticError, OSError):
                    continue
                yield _clock_finding(offset)
                return


def _name(action: Action[Any]) -> str:
    return action.token.removeprefix("cloudretry:")


def _endpoints(client: CloudClient) -> list[str]:
    if isinstance(client, HuaweicloudClient):
        return list(client.endpoints.values())
    return [client.endpoint] if isinstance(client, AlicloudClient) else []


def _clock_finding(offset: float) -> Finding:
    if abs(offset) <= _CLOCK_GRAIN:
        return Finding("clock", Verdict.YES, "agrees with the cloud's")
    words = f"{durations.show(round(abs(offset)))} {'ahead of' if offset > 0 else 'behind'} the cloud's"
    if abs(offset) <= CLOCK_TOLERANCE:
        return Finding("clock", Verdict.YES, words)
    remedy = f"signatures are refused from {durations.show(CLOCK_TOLERANCE)} on: set this machine's clock"
    return Finding("clock", Verdict.NO, f"{words}; {remedy}")


def _project(client: HuaweicloudClient) -> Finding:
    endpoint = client.endpoints["iam"]
    try:
        project = client.project_id
        reply = client.send(Request(_PROJECTS, query={"name": client.region}))
    except CloudRetryError as error:
        return Finding("project", Verdict.NO, str(error), endpoint)
    if reply.error is None:
        return Finding("project", Verdict.YES, f"{project}; {endpoint} answers", endpoint)
    if reply.status == 401:
        return Finding("project", Verdict.NO, f"{endpoint}: {reply.error}", endpoint)
    # A fire needs no permission to list projects.
    return Finding("project", Verdict.YES, f"{project}; {endpoint} does not list projects: {reply.error}", endpoint)


def _look(client: CloudClient, action: Action[Any]) -> tuple[Finding, bool]:
    """What a status call found, and whether it refused the credentials."""
    container, key = action.nothing
    endpoint = (
        client.endpoints[action.looks.service] if isinstance(client, HuaweicloudClient) else _endpoints(client)[0]
    )
    try:
        action.observe(client.send, Place(client.region, client.project_id, container), [Target(key)])
    except CloudRefused as refused:
        verdict, words = _judged(action, refused)
        if verdict is not Verdict.YES:
            return Finding(_name(action), verdict, f"{endpoint}: {words}", endpoint), refused.error.http_status == 401
    except CloudRetryError as error:
        return Finding(_name(action), Verdict.NO, f"{endpoint}: {error}", endpoint), False
    fire = action.permissions.get(action.fires.name)
    untried = f"the permission {fire.name}" if fire else f"the permission for {action.fires.name}"
    words = f"{endpoint} answers {action.looks.name}; {untried} shows only in a fire"
    return Finding(_name(action), Verdict.YES, words, endpoint), False


def _judged(action: Action[Any], refused: CloudRefused) -> tuple[Verdict, str]:
    error = refused.error
    if error.code in _NOT_PUBLISHED and action.deprecation:
        return Verdict.NOT_HERE, f"{error.code}: {action.deprecation}"
    says_no_such_thing = error.http_status in (400, 404) and error.code in action.errors
    is_good = says_no_such_thing and not refused.throttled and error.code not in _STANDS_IN_THE_WAY
    return Verdict.YES if is_good else Verdict.NO, str(action.explain(error))


def _columns(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    listed = [tuple(map(str, row)) for row in rows]
    widths = [max((len(row[at]) for row in listed), default=0) for at in (0, 1)]
    for first, second, *rest in listed:
        yield f"  {first:<{widths[0]}}  {second:<{widths[1]}}  {' '.join(rest)}".rstrip()
