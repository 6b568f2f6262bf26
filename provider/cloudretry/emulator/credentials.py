"""The emulator's own credentials: fixed, well known, and good for nothing but the emulator."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CREDENTIALS", "Credentials"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Every way to sign in to the emulator.

    ``access_key`` and ``secret_key`` are a permanent Huawei Cloud pair. The ``temporary_*`` pair is accepted only
    together with ``security_token``. ``token`` is an X-Auth-Token for ``project_id`` that never expires. The
    application credential, the agency and the role serve those who sign in by one of these. The ``alicloud_*``
    names are the same things of Alibaba Cloud.
    """

    region: str = "eu-de"
    project_id: str = "054babbbde80d4602f5cc0043a40ed8c"
    project_name: str = "eu-de"
    domain_id: str = "d78cbac186b744899480f25bd022f468"
    domain_name: str = "cloudretry"
    user_id: str = "7116d09f88fa41908676fdd4b039e95b"
    user_name: str = "emulator"
    password: str = "emulator-password"  # noqa: S105 - opens nothing but the emulator
    access_key: str = "EMULATORHUAWEIACCESS"
    secret_key: str = "emulator-huaweicloud-secret-key-00000000"  # noqa: S105
    temporary_access_key: str = "EMULATORHUAWEITEMPOR"
    temporary_secret_key: str = "emulator-huaweicloud-temporary-secret-00"  # noqa: S105
    security_token: str = "emulator-huaweicloud-security-token"  # noqa: S105
    token: str = "emulator-huaweicloud-token"  # noqa: S105
    application_credential_id: str = "emulator-application-credential"
    application_credential_secret: str = "emulator-application-secret"  # noqa: S105
    agency_name: str = "emulator-agency"
    alicloud_region: str = "cn-shanghai"
    alicloud_account_id: str = "1234567890123456"
    alicloud_access_key: str = "LTAIemulatorAccessKey"
    alicloud_secret_key: str = "emulator-alicloud-secret-key"  # noqa: S105
    alicloud_temporary_access_key: str = "STS.emulatorAccessKey"
    alicloud_temporary_secret_key: str = "emulator-alicloud-temporary-secret"  # noqa: S105
    alicloud_security_token: str = "emulator-alicloud-security-token"  # noqa: S105
    alicloud_role_arn: str = "acs:ram::1234567890123456:role/emulator"

    def environment(self, url: str | None) -> dict[str, str]:
        """The environment variables that point the provider at this account; with a ``url``, at this emulator."""
        variables = {
            "HW_REGION_NAME": self.region,
            "HW_PROJECT_ID": self.project_id,
            "HW_PROJECT_NAME": self.project_name,
            "HW_DOMAIN_NAME": self.domain_name,
            "HW_USER_NAME": self.user_name,
            "HW_USER_PASSWORD": self.password,
            "HW_ACCESS_KEY": self.access_key,
            "HW_SECRET_KEY": self.secret_key,
            "HW_AUTH_TOKEN": self.token,
            "ALIBABA_CLOUD_REGION_ID": self.alicloud_region,
            "ALIBABA_CLOUD_ACCESS_KEY_ID": self.alicloud_access_key,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": self.alicloud_secret_key,
        }
        if url is not None:
            variables["HW_AUTH_URL"] = f"{url}/v3"
            variables["CLOUDRETRY_EMULATOR"] = url
        return variables


CREDENTIALS = Credentials()
