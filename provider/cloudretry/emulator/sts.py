"""Alibaba Cloud's Security Token Service, version 2015-04-01: temporary keys for a role."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from cloudretry.emulator import sessions
from cloudretry.emulator.auth_alicloud import refusal
from cloudretry.emulator.credentials import CREDENTIALS
from cloudretry.emulator.exchange import Answer, Call, Handler, whole_number
from cloudretry.emulator.store import Transaction
from cloudretry.operation import Operation

__all__ = ["HANDLERS", "ROUTES", "VERSION"]

VERSION = "2015-04-01"


def assume_role(call: Call, tx: Transaction) -> Answer:
    parameters = call.parameters()
    role, session = parameters.get("RoleArn", ""), parameters.get("RoleSessionName", "")
    lifetime = whole_number(parameters.get("DurationSeconds", "3600"), least=900, most=43_200)
    if role != CREDENTIALS.alicloud_role_arn:
        raise refusal(404, "EntityNotExist.Role", "The role not exists.")
    if not session:
        raise refusal(400, "InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.")
    if lifetime is None:
        raise refusal(400, "InvalidParameter.DurationSeconds", "The parameter DurationSeconds is wrongly formed.")
    pair = sessions.issue_key(tx, "alicloud", None, lifetime)
    return Answer(
        {
            "AssumedRoleUser": {
                "Arn": f"{role.replace(':role/', ':assumed-role/')}/{session}",
                "AssumedRoleId": session,
            },
            "Credentials": {
                "AccessKeyId": pair.access_key,
                "AccessKeySecret": pair.secret_key,
                "SecurityToken": pair.security_token,
                "Expiration": datetime.fromtimestamp(pair.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
        }
    )


HANDLERS: Mapping[str, Handler] = {"AssumeRole": assume_role}

ROUTES = (Operation("AssumeRole", "sts", "POST", "/"),)
