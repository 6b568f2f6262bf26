"""The provider's configuration: what may be set, where each value comes from, and what is wrong with it.

Outside, names are camelCase and nested objects come as mappings (an explicit ``Provider``) or as JSON text (stack
configuration). What is not given is taken from the environment (:data:`ENVIRONMENT`); an empty text counts as not
given. Inside, it is :class:`ProviderConfig`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from cloudretry import bounds, durations
from cloudretry.errors import ConfigurationError, InvalidInput
from cloudretry.findings import nearest, sentence
from cloudretry.folders import expanded

__all__ = [
    "EMBEDDED",
    "ENVIRONMENT",
    "GIVEN",
    "KEY_PAIRS",
    "AlicloudConfig",
    "AssumeRole",
    "Endpoints",
    "HuaweicloudConfig",
    "ProviderConfig",
    "check_host_label",
    "check_url",
    "is_loopback",
    "load",
    "problems",
    "variables",
]

EMBEDDED = "embedded"
"""The value of ``emulator`` that makes the provider run the emulator by itself."""

GIVEN = "configuration"
"""The source of a value that was given, in :attr:`ProviderConfig.sources`."""

ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "huaweicloud.region": ("HW_REGION_NAME", "OS_REGION_NAME"),
    "huaweicloud.projectId": ("HW_PROJECT_ID", "OS_PROJECT_ID"),
    "huaweicloud.projectName": ("HW_PROJECT_NAME", "OS_PROJECT_NAME"),
    "huaweicloud.token": ("HW_AUTH_TOKEN", "OS_TOKEN"),
    "huaweicloud.authUrl": ("HW_AUTH_URL", "OS_AUTH_URL"),
    "huaweicloud.userName": ("HW_USER_NAME", "OS_USERNAME"),
    "huaweicloud.password": ("HW_USER_PASSWORD", "OS_PASSWORD"),
    "huaweicloud.domainName": ("HW_DOMAIN_NAME", "OS_USER_DOMAIN_NAME"),
    "huaweicloud.applicationCredentialId": ("OS_APPLICATION_CREDENTIAL_ID",),
    "huaweicloud.applicationCredentialSecret": ("OS_APPLICATION_CREDENTIAL_SECRET",),
    "huaweicloud.profile": ("HW_PROFILE",),
    "huaweicloud.sharedConfigFile": ("HW_SHARED_CONFIG_FILE",),
    "huaweicloud.assumeRole.agencyName": ("HW_ASSUME_ROLE_AGENCY_NAME",),
    "huaweicloud.assumeRole.domainName": ("HW_ASSUME_ROLE_DOMAIN_NAME",),
    "huaweicloud.assumeRole.domainId": ("HW_ASSUME_ROLE_DOMAIN_ID",),
    "huaweicloud.cloud": ("HW_CLOUD",),
    "alicloud.region": ("ALIBABA_CLOUD_REGION_ID", "ALIBABA_CLOUD_REGION", "ALICLOUD_REGION"),
    "alicloud.profile": ("ALIBABA_CLOUD_PROFILE", "ALICLOUD_PROFILE"),
    "alicloud.ecsRoleName": ("ALIBABA_CLOUD_ECS_METADATA", "ALICLOUD_ECS_ROLE_NAME"),
    "emulator": ("CLOUDRETRY_EMULATOR",),
}
"""Which variables fill a key that is not given; the first that is set counts. Keys of :data:`KEY_PAIRS` are apart."""

KEY_PAIRS: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "huaweicloud": (
        {"accessKey": "HW_ACCESS_KEY", "secretKey": "HW_SECRET_KEY", "securityToken": "HW_SECURITY_TOKEN"},
        {
            "accessKey": "HUAWEICLOUD_SDK_AK",
            "secretKey": "HUAWEICLOUD_SDK_SK",
            "securityToken": "HUAWEICLOUD_SDK_SECURITY_TOKEN",
        },
    ),
    "alicloud": (
        {
            "accessKey": "ALIBABA_CLOUD_ACCESS_KEY_ID",
            "secretKey": "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            "securityToken": "ALIBABA_CLOUD_SECURITY_TOKEN",
        },
        {
            "accessKey": "ALICLOUD_ACCESS_KEY",
            "secretKey": "ALICLOUD_SECRET_KEY",
            "securityToken": "ALICLOUD_SECURITY_TOKEN",
        },
    ),
}
"""Variables that belong together. A pair is taken from one row only: parts of two accounts never sign together."""

_NOT_BESIDE = {"huaweicloud.projectId": "huaweicloud.projectName", "huaweicloud.projectName": "huaweicloud.projectId"}
"""The environment does not fill the first key beside a given second one: it would name another project."""

_ENGINE_KEYS = frozenset({"version", "pluginDownloadURL", "__internal"})
"""What the engine adds to a provider's inputs for itself."""

_HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d+)?", re.ASCII | re.IGNORECASE)


def is_loopback(host: str | None) -> bool:
    """Whether the host name or address is this machine."""
    if not host:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_url(url: str, *, allow_plain_http: bool) -> str:
    """The URL without a trailing slash.

    :raises ValueError: it is no http(s) URL of a host, or it is plain ``http://`` to another machine.
    """
    parts = urlsplit(url)
    try:
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        port_is_good = False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_good:
        raise ValueError("is not a URL such as https://host or https://host:port/path")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("must be a URL without user, query and fragment")
    if parts.scheme == "http" and not allow_plain_http and not is_loopback(parts.hostname):
        raise ValueError(f"would send credentials to {parts.hostname} unencrypted: use https://, or set allowPlainHttp")
    return url.rstrip("/")


def check_host_label(name: str) -> str:
    """A region as it stands in host names.

    :raises ValueError: it is not one, and would make up another host.
    """
    if not _HOST_LABEL.fullmatch(name):
        raise ValueError("is not a region: lower-case letters, digits and hyphens, as in ap-southeast-3")
    return name


def _url(url: str, info: ValidationInfo) -> str:
    return check_url(url, allow_plain_http=bool((info.context or {}).get("allow_plain_http")))


def _emulator(value: str, info: ValidationInfo) -> str:
    if value == EMBEDDED:
        return value
    allowed = bool((info.context or {}).get("allow_plain_http"))
    try:
        url = check_url(value, allow_plain_http=True)
    except ValueError:
        raise ValueError(f"is neither a URL such as http://127.0.0.1:8400 nor the word {EMBEDDED}") from None
    if not allowed and not is_loopback(urlsplit(url).hostname):
        raise ValueError(
            "is not on this machine, and the emulator's credentials are public: use a loopback address, "
            "or set allowPlainHttp"
        )
    return url


def _host_suffix(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("is not a host suffix such as myhuaweicloud.com")
    return value.lower()


def _duration(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"is not a duration; write {durations.FORM}")  # noqa: TRY004 - pydantic's contract
    return durations.parse(value)


def _within(least: float, most: float) -> AfterValidator:
    """Bounds of a duration, in seconds."""

    def check(seconds: float) -> float:
        if not least <= seconds <= most:
            raise ValueError(f"must be from {durations.show(least)} to {durations.show(most)}")
        return seconds

    return AfterValidator(check)


def _path(value: str) -> str:
    if "\0" in value:
        raise ValueError("is not a path")
    try:
        expanded(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return value


def _existing_file(value: str) -> str:
    path = expanded(value)
    try:
        with path.open("rb"):
            return str(path)
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None


def _header_text(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().isprintable():
        raise ValueError("holds a line break or another control character; was it copied whole?")
    return value


Url = Annotated[str, AfterValidator(_url)]
Region = Annotated[str, AfterValidator(check_host_label)]
FilePath = Annotated[str, AfterValidator(_path)]
Duration = Annotated[float, BeforeValidator(_duration, json_schema_input_type=str)]
Pause = Annotated[Duration, _within(bounds.SHORTEST_DURATION, bounds.LONGEST_TIMEOUT)]
Secret = Annotated[SecretStr, AfterValidator(_header_text)]


class _Section(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )


class AssumeRole(_Section):
    """An agency of another account, taken on with the credentials at hand."""

    agency_name: str = Field(description="The name of the agency.")
    domain_name: str | None = Field(None, description="The name of the account (domain) that owns the agency.")
    domain_id: str | None = Field(None, description="The id of that account; instead of `domainName`.")
    duration: Annotated[Duration, _within(900, 86_400)] = Field(
        43_200.0,
        description="How long the temporary keys are good for, from `15m` to `24h`. They are renewed before they end.",
    )


class Endpoints(_Section):
    """Where each service is, if it is not at its usual address."""

    modelarts: Url | None = Field(None, description="The URL of ModelArts.")
    workspace: Url | None = Field(None, description="The URL of Workspace.")
    drs: Url | None = Field(None, description="The URL of Data Replication Service.")
    iam: Url | None = Field(None, description="The URL of IAM, which gives tokens and looks projects up.")


class HuaweicloudConfig(_Section):
    """Huawei Cloud and other clouds of the same make."""

    region: Region | None = Field(None, description="The region, such as `ap-southeast-3`.")
    project_id: str | None = Field(
        None, description="The id of the project. If it is not given, it is looked up by the project's name."
    )
    project_name: str | None = Field(
        None, description="The name of the project. The default is the region's own project, named like the region."
    )
    access_key: str | None = Field(None, description="The access key (AK). It needs `secretKey` beside it.")
    secret_key: Secret | None = Field(None, description="The secret key (SK) of `accessKey`.")
    security_token: Secret | None = Field(None, description="The security token, if the access key is a temporary one.")
    token: Secret | None = Field(
        None, description="A token (X-Auth-Token) got elsewhere. It is used until it ends and is not renewed."
    )
    auth_url: Url | None = Field(
        None, description="The URL of the identity service. The default is `https://iam.{region}.{cloud}/v3`."
    )
    user_name: str | None = Field(None, description="The IAM user who signs in with `password`.")
    password: Secret | None = Field(None, description="The password of `userName`.")
    domain_name: str | None = Field(None, description="The account (domain) that `userName` belongs to.")
    application_credential_id: str | None = Field(
        None,
        description=(
            "The id of an application credential of Keystone, on sites of the same make that have them. It needs "
            "`applicationCredentialSecret` beside it, and is bound to its own project."
        ),
    )
    application_credential_secret: Secret | None = Field(None, description="The secret of `applicationCredentialId`.")
    profile: str | None = Field(
        None, description="The profile in `sharedConfigFile`. The default is the file's own current profile."
    )
    shared_config_file: FilePath | None = Field(
        None,
        description=(
            "The file that keeps profiles: `~/.hcloud/config.json` of the KooCLI, written with "
            "`--cli-auth-encrypt=false`, or `~/.huaweicloud/credentials` of the SDKs."
        ),
    )
    assume_role: AssumeRole | None = Field(None, description="An agency to take on with these credentials.")
    cloud: Annotated[str, AfterValidator(_host_suffix)] | None = Field(
        None,
        description=(
            "The end of all host names. The default is what `authUrl` ends with, if it is given; else "
            "`myhuaweicloud.com`, and `myhuaweicloud.eu` for the regions `eu-west-1xx`. Open Telekom Cloud's is "
            "`otc.t-systems.com`."
        ),
    )
    endpoints: Endpoints = Field(Endpoints(), description="URLs of services that are not at their usual address.")


class AlicloudConfig(_Section):
    """Alibaba Cloud. With no key, profile or role given, that cloud's standard credential chain is asked."""

    region: Region | None = Field(None, description="The region, such as `cn-shanghai`.")
    access_key: str | None = Field(None, description="The AccessKey ID. It needs `secretKey` beside it.")
    secret_key: Secret | None = Field(None, description="The AccessKey secret of `accessKey`.")
    security_token: Secret | None = Field(None, description="The STS token, if the access key is a temporary one.")
    profile: str | None = Field(
        None, description="A profile of the Alibaba Cloud CLI or of `~/.alibabacloud/credentials.ini`."
    )
    ecs_role_name: str | None = Field(None, description="The RAM role of the ECS instance that this runs on.")
    endpoint: Url | None = Field(
        None, description="The URL of E-HPC. The default is `https://ehpc.{region}.aliyuncs.com`."
    )


class ProviderConfig(_Section):
    """Everything that can be set on the provider."""

    huaweicloud: HuaweicloudConfig = Field(HuaweicloudConfig(), description="Huawei Cloud.")
    alicloud: AlicloudConfig = Field(AlicloudConfig(), description="Alibaba Cloud.")
    emulator: Annotated[str, AfterValidator(_emulator)] | None = Field(
        None,
        description=(
            "The URL of an emulator, which every endpoint and credential then points at; or `embedded`: the provider "
            "runs one by itself and keeps its state in a file. No cloud is called."
        ),
    )
    max_concurrent_requests: Annotated[int, Field(ge=1, le=256)] = Field(
        8, description="How many requests to one service may be under way at the same time, first come, first served."
    )
    requests_per_second: Annotated[float, Field(ge=bounds.SMALLEST_RATE, le=bounds.LARGEST_RATE)] | None = Field(
        None, description="How many requests to one service may be started in a second. The default is no limit."
    )
    poll_interval: Pause | None = Field(
        None, description="The time between two looks at a target. The default grows with the time already waited."
    )
    connect_timeout: Pause = Field(10.0, description="How long making a connection may take, such as `10s`.")
    read_timeout: Pause = Field(60.0, description="How long an answer may take once the request is out.")
    ca_file: Annotated[FilePath, AfterValidator(_existing_file)] | None = Field(
        None, description="A file of CA certificates to trust instead of the usual ones."
    )
    allow_plain_http: bool = Field(
        False, description="Allow `http://` to other machines than this one. Credentials then travel in the clear."
    )
    journal_dir: FilePath | None = Field(
        None, description="Where the journal is kept. The default is a folder under `PULUMI_HOME`."
    )
    journal_enabled: bool = Field(
        True, description="Record each fire before it leaves, so that a run cut off in the middle never fires twice."
    )
    preview_checks: bool = Field(
        True, description="Look at the targets during a preview and tell what the update would meet."
    )
    _sources: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @property
    def sources(self) -> Mapping[str, str]:
        """Where each value came from, by its path: :data:`GIVEN`, or the name of an environment variable."""
        return self._sources


_SECTIONS = ("huaweicloud", "alicloud")
_NESTED = ("huaweicloud.assumeRole", "huaweicloud.endpoints")
_MODELS: Mapping[str, type[BaseModel]] = {
    "": ProviderConfig,
    "huaweicloud": HuaweicloudConfig,
    "huaweicloud.assumeRole": AssumeRole,
    "huaweicloud.endpoints": Endpoints,
    "alicloud": AlicloudConfig,
}


def variables(path: str) -> tuple[str, ...]:
    """The environment variables that fill a key such as ``huaweicloud.secretKey``, in the order they are asked."""
    section, _, key = path.partition(".")
    return ENVIRONMENT.get(path, ()) or tuple(row[key] for row in KEY_PAIRS.get(section, ()) if key in row)


def load(given: Mapping[str, Any], environ: Mapping[str, str]) -> ProviderConfig:
    """The configuration: what is given first, then the environment, then the defaults.

    :raises ConfigurationError: something in it cannot be used; the text lists every problem with its path.
    """
    tree, found = _read(given)
    sources = dict.fromkeys(_leaves(tree), GIVEN)
    _fill(tree, sources, environ)
    config = None
    try:
        config = ProviderConfig.model_validate(tree, context=_context(tree))
        config._sources = sources
    except ValidationError as error:
        found += [_with_source(_problem(detail), sources) for detail in error.errors()]
    if config is None or found:
        listed = "\n".join(f"  - {problem}" for problem in found)
        raise ConfigurationError(f"The provider's configuration cannot be used:\n{listed}")
    return config


def problems(given: Mapping[str, Any], unknown: Callable[[Any], bool] = lambda _value: False) -> list[InvalidInput]:
    """Everything that is wrong with what is given, each by its path. ``unknown`` values are taken for right."""
    tree, found = _read(given, unknown)
    kept, skipped = _without_unknown(tree, unknown)
    context = {"allow_plain_http": True} if "allowPlainHttp" in skipped else _context(kept)
    try:
        ProviderConfig.model_validate(kept, context=context)
    except ValidationError as error:
        found += [problem for detail in error.errors() if (problem := _problem(detail)).path not in skipped]
    return found


def _context(tree: Mapping[str, Any]) -> dict[str, bool]:
    return {"allow_plain_http": str(tree.get("allowPlainHttp", "")).strip().lower() in ("true", "1", "1.0")}


def _read(
    given: Mapping[str, Any], unknown: Callable[[Any], bool] = lambda _value: False
) -> tuple[dict[str, Any], list[InvalidInput]]:
    """The given values as one tree, objects unpacked from JSON text and empty values left out."""
    found: list[InvalidInput] = []
    tree = _pruned({key: value for key, value in given.items() if key not in _ENGINE_KEYS}, unknown)
    for path in _SECTIONS + _NESTED:
        parent, _, name = path.rpartition(".")
        holder = tree.get(parent) if parent else tree
        if not isinstance(holder, dict) or not isinstance(holder.get(name), str):
            continue
        try:
            value = json.loads(holder[name])
        except ValueError:
            value = None
        if isinstance(value, dict):
            holder[name] = _pruned(value, unknown)
        else:
            del holder[name]
            found.append(
                InvalidInput(path, 'must be an object, or the JSON text of one such as {"region": "ap-southeast-3"}')
            )
    return tree, found


def _pruned(values: Mapping[str, Any], unknown: Callable[[Any], bool]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            kept[key] = _pruned(value, unknown)
        elif unknown(value) or not (value is None or (isinstance(value, str) and not value.strip())):
            kept[key] = value
    return kept


def _without_unknown(
    tree: Mapping[str, Any], unknown: Callable[[Any], bool], at: str = ""
) -> tuple[dict[str, Any], set[str]]:
    kept: dict[str, Any] = {}
    skipped: set[str] = set()
    for key, value in tree.items():
        if isinstance(value, Mapping):
            kept[key], below = _without_unknown(value, unknown, f"{at}{key}.")
            skipped |= below
        elif unknown(value):
            skipped.add(f"{at}{key}")
        else:
            kept[key] = value
    return kept, skipped


def _leaves(tree: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{at}{key}.")
        else:
            yield f"{at}{key}"


def _fill(tree: dict[str, Any], sources: dict[str, str], environ: Mapping[str, str]) -> None:
    def put(path: str, variable: str) -> None:
        value = environ.get(variable, "").strip()
        if not value or path in sources:
            return
        *parents, name = path.split(".")
        holder = tree
        for parent in parents:
            holder = holder.setdefault(parent, {})
            if not isinstance(holder, dict):
                return
        holder[name] = value
        sources[path] = variable

    blocked = {path for path, other in _NOT_BESIDE.items() if other in sources}
    for path, variables in ENVIRONMENT.items():
        if path not in blocked:
            for variable in variables:
                put(path, variable)
    for section, rows in KEY_PAIRS.items():
        if f"{section}.accessKey" in sources:
            # The secret may come from elsewhere; a security token there belongs to another pair.
            for row in rows:
                put(f"{section}.secretKey", row["secretKey"])
            continue
        chosen = next((row for row in rows if environ.get(row["accessKey"], "").strip()), {})
        for key, variable in chosen.items():
            put(f"{section}.{key}", variable)


def _problem(detail: ErrorDetails) -> InvalidInput:
    """What is wrong with a key. Never with its value: whatever the key, it may be a secret that was put there."""
    path = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        *parents, name = (str(part) for part in detail["loc"])
        return InvalidInput(path, _unknown_key(".".join(parents), name))
    return InvalidInput(path, sentence(detail))


def _with_source(problem: InvalidInput, sources: Mapping[str, str]) -> InvalidInput:
    variable = sources.get(problem.path, GIVEN)
    return problem if variable == GIVEN else InvalidInput(f"{problem.path} (from {variable})", problem.reason)


def _unknown_key(section: str, name: str) -> str:
    if not section and name.partition(".")[0] in _SECTIONS:
        return f"is a path and not a key: set it with `pulumi config set --path cloudretry:{name}`"
    keys = [to_camel(field) for field in _MODELS[section].model_fields]
    return f"is not a key of the configuration; {nearest(name, keys)}"
