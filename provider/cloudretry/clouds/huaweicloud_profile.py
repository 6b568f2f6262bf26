"""Which credentials of Huawei Cloud a configuration chooses, and where they are at home. Sends nothing.

Apart from what signs requests, because a comparison of two places is all that most commands of the engine need.
"""

from __future__ import annotations

import configparser
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cloudretry.config import GIVEN, AssumeRole, HuaweicloudConfig, ProviderConfig
from cloudretry.errors import ConfigurationError, CredentialsError
from cloudretry.folders import expanded, read_text
from cloudretry.text import shortened

__all__ = ["Home", "Profile", "chosen_kind", "home", "profile_file", "read_profile"]

_T = TypeVar("_T", bound=Mapping[str, Any])

_SHOWN = 5
"""Names of profiles that a message lists."""

_PROFILE_FILES = ("~/.hcloud/config.json", "~/.huaweicloud/credentials")

_NONE_FOUND = (
    "No credentials for Huawei Cloud were found. The quickest ways to give some: set HW_ACCESS_KEY and HW_SECRET_KEY; "
    "set HW_AUTH_TOKEN to a token; or name a profile of ~/.hcloud/config.json with HW_PROFILE. "
    "To try without an account: pulumi config set cloudretry:emulator embedded, or CLOUDRETRY_EMULATOR=embedded in the "
    "environment."
)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile file says. Empty fields are not in it."""

    ak: str
    sk: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    region: str = ""
    project_id: str = ""
    role: AssumeRole | None = None


@dataclass(frozen=True, slots=True)
class Home:
    """The region and project that a configuration stands for by itself. Empty is what it does not say."""

    region: str
    project_id: str
    profile: Profile | None = None
    """The profile that the credentials come from, if they come from one."""


def home(config: ProviderConfig, *, emulated: bool) -> Home:
    """Where a resource is that says nothing of its own place; ``emulated`` on the emulator.

    What is configured comes before what the profile says, and a profile's project belongs to the profile's region.

    :raises CredentialsError: there are no credentials, or their profile cannot be read.
    """
    cloud = config.huaweicloud
    if emulated:
        from cloudretry.emulator.credentials import CREDENTIALS

        return Home(cloud.region or CREDENTIALS.region, cloud.project_id or CREDENTIALS.project_id)
    if chosen_kind(config) != "profile":
        return Home(cloud.region or "", cloud.project_id or "")
    profile = read_profile(cloud)
    region = cloud.region or profile.region
    is_its_own = profile.region in ("", region) and not cloud.project_name
    return Home(region, cloud.project_id or (profile.project_id if is_its_own else ""), profile)


def chosen_kind(config: ProviderConfig) -> str:
    """The credential that is used: ``accessKey``, ``token``, ``userName``, ``applicationCredentialId`` or ``profile``.

    :raises CredentialsError: none is complete; the text says what is missing.
    """
    cloud = config.huaweicloud
    kinds: Mapping[str, Mapping[str, object]] = {
        "accessKey": {"accessKey": cloud.access_key, "secretKey": cloud.secret_key},
        "token": {"token": cloud.token},
        "userName": {"userName": cloud.user_name, "password": cloud.password, "domainName": cloud.domain_name},
        "applicationCredentialId": {
            "applicationCredentialId": cloud.application_credential_id,
            "applicationCredentialSecret": cloud.application_credential_secret,
        },
        "profile": {"profile": cloud.profile or cloud.shared_config_file},
    }
    complete = [kind for kind, values in kinds.items() if all(values.values())]
    if complete:
        return min(complete, key=lambda kind: not _is_given(config, kinds[kind]))
    for values in kinds.values():
        there = [key for key, value in values.items() if value]
        lacking = [key for key, value in values.items() if not value]
        if there and there != ["domainName"]:
            raise CredentialsError(
                f"huaweicloud.{' and '.join(there)} cannot be used without {' and '.join(lacking)}. {_NONE_FOUND}"
            )
    raise CredentialsError(_NONE_FOUND)


def _is_given(config: ProviderConfig, keys: Mapping[str, object]) -> bool:
    names = [*keys, "sharedConfigFile"] if "profile" in keys else keys
    return any(config.sources.get(f"huaweicloud.{key}") == GIVEN for key in names)


def profile_file(cloud: HuaweicloudConfig) -> Path:
    """The file that profiles are read from.

    :raises CredentialsError: there is none.
    """
    files = (cloud.shared_config_file,) if cloud.shared_config_file else _PROFILE_FILES
    for name in files:
        try:
            path = expanded(name)
            if stat.S_ISREG(path.stat().st_mode):
                return path
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise CredentialsError(f"The profile file {name} cannot be read: {error.strerror}") from None
        except ConfigurationError as error:
            raise CredentialsError(f"The profile file {name} cannot be read: {error}") from None
    raise CredentialsError(
        f"There is no profile file {' or '.join(files)}. Name one with huaweicloud.sharedConfigFile."
    )


def read_profile(cloud: HuaweicloudConfig) -> Profile:
    """The profile that the configuration names, from the KooCLI's JSON file or the SDKs' INI file.

    :raises CredentialsError: the file or the profile is not there, or it holds no keys.
    """
    path = profile_file(cloud)
    try:
        text = read_text(path)
        name, profile = (_from_json if text.lstrip().startswith("{") else _from_ini)(text, cloud.profile, path)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, configparser.Error) as error:
        # A parser quotes the line that it cannot read, and the line may hold a key.
        words = error.strerror if isinstance(error, OSError) else "it is neither the KooCLI's JSON nor the SDKs' INI"
        raise CredentialsError(f"The profile file {path} cannot be read: {words}") from None
    if not (profile.ak and profile.sk):
        raise CredentialsError(f"The profile {name!r} in {path} holds no access key pair.")
    return profile


def _from_json(text: str, name: str | None, path: Path) -> tuple[str, Profile]:
    content = json.loads(text)
    name = str(name or content.get("current") or "")
    profiles: dict[str, Any] = {}
    for entry in content.get("profiles") or ():
        profiles.setdefault(entry.get("name"), entry)
    found = _chosen(profiles, name, path)
    keys = (found.get("ssoAuth") or {}).get("stsToken") or {} if found.get("mode") == "SSO" else found
    agency = found.get("agencyName")
    return name, Profile(
        ak=str(keys.get("accessKeyId") or ""),
        sk=str(keys.get("secretAccessKey") or ""),
        security_token=str(keys.get("securityToken") or ""),
        region=str(found.get("region") or ""),
        project_id=str(found.get("projectId") or ""),
        role=AssumeRole.model_validate(
            {
                "agencyName": agency,
                "domainName": found.get("agencyDomainName") or None,
                "domainId": found.get("agencyDomainId") or None,
            }
        )
        if agency
        else None,
    )


def _from_ini(text: str, name: str | None, path: Path) -> tuple[str, Profile]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    name = name or "basic"
    found = _chosen({section: parser[section] for section in parser.sections()}, name, path)
    return name, Profile(
        ak=found.get("ak", ""),
        sk=found.get("sk", ""),
        security_token=found.get("security_token", ""),
        region=found.get("region", ""),
        project_id=found.get("project_id", ""),
    )


def _chosen(profiles: Mapping[str, _T], name: str, path: Path) -> _T:
    if name in profiles:
        return profiles[name]
    there = ", ".join(repr(shortened(str(one), 40)) for one in [*profiles][:_SHOWN])
    words = f"it has {there}{', …' * (len(profiles) > _SHOWN)}; name one with huaweicloud.profile (HW_PROFILE)"
    raise CredentialsError(f"{path} has no profile {name!r}; {words if profiles else 'it has none'}.")
