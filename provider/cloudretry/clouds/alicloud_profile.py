"""Which credentials of Alibaba Cloud a configuration chooses, and which region their profile names. Sends nothing."""

from __future__ import annotations

import json
import os

from cloudretry.config import GIVEN, ProviderConfig
from cloudretry.errors import ConfigurationError, CredentialsError
from cloudretry.folders import expanded, read_text

__all__ = ["CLI_FILE", "NONE_FOUND", "chosen_kind", "endpoint_of", "profile_region", "region"]

CLI_FILE = "~/.aliyun/config.json"
"""Where the Alibaba Cloud CLI keeps its profiles."""

_STANDARD = "ALIBABA_CLOUD_"

NONE_FOUND = (
    "No credentials for Alibaba Cloud were found. The quickest ways to give some: set ALIBABA_CLOUD_ACCESS_KEY_ID and "
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET; run `aliyun configure`; or name a profile of ~/.aliyun/config.json with "
    "ALIBABA_CLOUD_PROFILE. To try without an account: pulumi config set cloudretry:emulator embedded, or "
    "CLOUDRETRY_EMULATOR=embedded in the environment."
)


def endpoint_of(config: ProviderConfig, region: str) -> str:
    """The URL of E-HPC in a region."""
    return (config.alicloud.endpoint or f"https://ehpc.{region}.aliyuncs.com").rstrip("/")


def chosen_kind(config: ProviderConfig) -> str:
    """The source of keys that is used: ``accessKey``, ``profile``, ``ecsRoleName`` or ``chain``.

    :raises CredentialsError: an access key without its secret.
    """
    cloud = config.alicloud
    source = {key: config.sources.get(f"alicloud.{key}", "") for key in ("accessKey", "profile", "ecsRoleName")}
    named = [key for key in ("profile", "ecsRoleName") if source[key] == GIVEN]
    if cloud.access_key and (source["accessKey"] == GIVEN or not named):
        if not cloud.secret_key:
            raise CredentialsError(f"alicloud.accessKey cannot be used without secretKey. {NONE_FOUND}")
        return "accessKey"
    # The standard chain reads the standard variables by itself, in its own order.
    named += [key for key in ("profile", "ecsRoleName") if source[key] and not source[key].startswith(_STANDARD)]
    return named[0] if named else "chain"


def region(config: ProviderConfig, *, emulated: bool) -> str:
    """The region of a resource that names none: the configured one, else that of the CLI's profile. May be empty.

    :raises CredentialsError: an access key without its secret.
    """
    if config.alicloud.region:
        return config.alicloud.region
    if emulated:
        from cloudretry.emulator.credentials import CREDENTIALS

        return CREDENTIALS.alicloud_region
    return profile_region(config)


def profile_region(config: ProviderConfig) -> str:
    """The region in the CLI's profile, where keys may come from it; empty if there is none."""
    if chosen_kind(config) not in ("profile", "chain"):
        return ""
    if os.environ.get("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "").lower() == "true":
        return ""
    try:
        content = json.loads(read_text(expanded(CLI_FILE)))
        wanted = config.alicloud.profile or content.get("current")
        found = next(entry for entry in content["profiles"] if entry.get("name") == wanted)
    except (
        ConfigurationError,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
        StopIteration,
    ):
        # What is wrong with the file is told when keys are asked of it.
        return ""
    return str(found.get("region_id") or "")
