"""Identity: Keystone v3 tokens, temporary access keys, and the look-up of projects."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cloudretry.emulator import sessions
from cloudretry.emulator.auth_huaweicloud import authenticate
from cloudretry.emulator.credentials import CREDENTIALS
from cloudretry.emulator.exchange import Answer, Call, Handler, Refusal
from cloudretry.emulator.loading import options
from cloudretry.emulator.store import Transaction
from cloudretry.operation import Operation

__all__ = ["HANDLERS", "ROUTES"]

_DOMAIN = {"id": CREDENTIALS.domain_id, "name": CREDENTIALS.domain_name}
_CATALOG = (
    ("iam", "identity", "/v3"),
    ("drs", "drs", "/v3/{}"),
    ("workspace", "workspace", "/v2/{}"),
    ("modelarts", "modelarts", "/v1/{}"),
)


def _refusal(status: int, title: str, message: str) -> Refusal:
    return Refusal(status, {"error": {"code": status, "message": message, "title": title}})


def _bad_request(message: str) -> Refusal:
    return _refusal(400, "Bad Request", message)


def _unauthorized(message: str = "The username or password is wrong.") -> Refusal:
    return _refusal(401, "Unauthorized", message)


def _same(given: Any, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), expected.encode())


def _section(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = parent.get(name)
    if not isinstance(section, Mapping):
        raise _bad_request(f"The request body is invalid: {name} is missing.")
    return section


def _auth(call: Call) -> Mapping[str, Any]:
    try:
        body = call.json()
    except ValueError:
        raise _bad_request("The request body is invalid: not JSON.") from None
    return _section(body if isinstance(body, Mapping) else {}, "auth")


def _method(identity: Mapping[str, Any]) -> str:
    methods = identity.get("methods")
    if not isinstance(methods, list) or len(methods) != 1 or not isinstance(methods[0], str):
        raise _bad_request("The request body is invalid: give one method.")
    return methods[0]


def create_token(call: Call, tx: Transaction) -> Answer:
    auth = _auth(call)
    identity = _section(auth, "identity")
    method = _method(identity)
    if method not in _SIGN_IN:
        raise _bad_request(f"The request body is invalid: no method {method}.")
    own_project = _SIGN_IN[method](_section(identity, method), call, tx)
    project_id = own_project or _scoped_project(auth.get("scope"), tx)
    token = sessions.issue_token(tx, project_id, options(tx).token_seconds)
    body = {
        "methods": [method],
        "issued_at": _time(token.issued_at),
        "expires_at": _time(token.expires_at),
        "user": {
            "id": CREDENTIALS.user_id,
            "name": CREDENTIALS.user_name,
            "domain": _DOMAIN,
            "password_expires_at": "",
        },
        "roles": [{"id": "0", "name": "te_admin"}],
        "catalog": _catalog(call, project_id),
    }
    if project_id is None:
        body["domain"] = _DOMAIN
    else:
        body["project"] = {"id": project_id, "name": _projects(tx)[project_id], "domain": _DOMAIN}
    return Answer({"token": body}, 201, {"X-Subject-Token": token.text})


def _by_password(section: Mapping[str, Any], _: Call, __: Transaction) -> None:
    user = _section(section, "user")
    is_user = _same(user.get("id"), CREDENTIALS.user_id) or (
        _same(user.get("name"), CREDENTIALS.user_name) and _is_domain(user.get("domain"))
    )
    if not (_same(user.get("password"), CREDENTIALS.password) and is_user):
        raise _unauthorized()


def _by_token(section: Mapping[str, Any], _: Call, tx: Transaction) -> None:
    token = sessions.find_token(tx, str(section.get("id", "")))
    if token is None or token.expires_at <= tx.now:
        raise _unauthorized("The token is invalid.")


def _by_application_credential(section: Mapping[str, Any], _: Call, __: Transaction) -> str:
    is_known = _same(section.get("id"), CREDENTIALS.application_credential_id)
    if not (_same(section.get("secret"), CREDENTIALS.application_credential_secret) and is_known):
        raise _unauthorized("The application credential is wrong.")
    return CREDENTIALS.project_id


def _by_agency(section: Mapping[str, Any], call: Call, tx: Transaction) -> None:
    authenticate(call, tx)
    named = section.get("agency_name") or section.get("xrole_name")
    domain = {"id": section.get("domain_id"), "name": section.get("domain_name")}
    if not (_same(named, CREDENTIALS.agency_name) and _is_domain(domain)):
        raise _refusal(404, "Not Found", f"Could not find agency: {named}.")


_SIGN_IN = {
    "password": _by_password,
    "token": _by_token,
    "application_credential": _by_application_credential,
    "assume_role": _by_agency,
}
"""How to sign in. Each returns the project that the credential is bound to, if it is bound to one."""


def _is_domain(domain: Any) -> bool:
    return isinstance(domain, Mapping) and (
        _same(domain.get("id"), CREDENTIALS.domain_id) or _same(domain.get("name"), CREDENTIALS.domain_name)
    )


def _scoped_project(scope: Any, tx: Transaction) -> str | None:
    if scope is not None and not isinstance(scope, Mapping):
        raise _bad_request("The request body is invalid: scope.")
    if scope is None or "unscoped" in scope:
        return None
    if "domain" in scope:
        if not _is_domain(scope["domain"]):
            raise _unauthorized("The domain of the scope is wrong.")
        return None
    wanted = _section(scope, "project")
    if "domain" in wanted and not _is_domain(wanted["domain"]):
        raise _unauthorized("The domain of the project is wrong.")
    for project_id, name in _projects(tx).items():
        if _same(wanted.get("id"), project_id) or ("id" not in wanted and _same(wanted.get("name"), name)):
            return project_id
    raise _unauthorized("The project of the scope does not exist.")


def _projects(tx: Transaction) -> dict[str, str]:
    return dict(tx.execute("SELECT id, name FROM projects ORDER BY rowid").fetchall())


def _catalog(call: Call, project_id: str | None) -> list[dict[str, Any]]:
    services = _CATALOG[:1] if project_id is None else _CATALOG
    return [
        {
            "id": name,
            "name": name,
            "type": kind,
            "endpoints": [
                {
                    "id": name,
                    "interface": "public",
                    "region": CREDENTIALS.region,
                    "region_id": CREDENTIALS.region,
                    "url": call.base_url + path.format(project_id),
                }
            ],
        }
        for name, kind, path in services
    ]


def create_temporary_key(call: Call, tx: Transaction) -> Answer:
    identity = _section(_auth(call), "identity")
    method = _method(identity)
    section = identity.get(method)
    section = section if isinstance(section, Mapping) else {}
    if method == "assume_role":
        _by_agency(section, call, tx)
        project_id = None
    elif method == "token":
        project_id = _project_of_token(section, call, tx)
    else:
        raise _bad_request(f"The request body is invalid: no method {method}.")
    lifetime = section.get("duration_seconds", 900)
    if type(lifetime) is not int or not 900 <= lifetime <= 86_400:
        raise _bad_request("The request body is invalid: duration_seconds must be 900 to 86400.")
    pair = sessions.issue_key(tx, "huaweicloud", project_id, lifetime)
    credential = {
        "access": pair.access_key,
        "secret": pair.secret_key,
        "securitytoken": pair.security_token,
        "expires_at": _time(pair.expires_at),
    }
    return Answer({"credential": credential}, 201)


def _project_of_token(section: Mapping[str, Any], call: Call, tx: Transaction) -> str | None:
    if not section.get("id"):
        return authenticate(call, tx).project_id
    _by_token(section, call, tx)
    token = sessions.find_token(tx, section["id"])
    return None if token is None else token.project_id


def list_projects(call: Call, tx: Transaction) -> Answer:
    authenticate(call, tx)
    wanted = call.parameters().get("name")
    found = [
        {
            "id": project_id,
            "name": name,
            "domain_id": CREDENTIALS.domain_id,
            "parent_id": CREDENTIALS.domain_id,
            "is_domain": False,
            "enabled": True,
            "description": "",
            "links": {"self": f"{call.base_url}/v3/projects/{project_id}"},
        }
        for project_id, name in _projects(tx).items()
        if wanted in (None, name)
    ]
    links = {"self": f"{call.base_url}/v3/projects", "previous": None, "next": None}
    return Answer({"projects": found, "links": links})


def list_domains(call: Call, tx: Transaction) -> Answer:
    authenticate(call, tx)
    domain = {**_DOMAIN, "enabled": True, "description": "", "links": {"self": f"{call.base_url}/v3/domains"}}
    links = {"self": f"{call.base_url}/v3/auth/domains", "previous": None, "next": None}
    return Answer({"domains": [domain], "links": links})


def show_version(call: Call, _: Transaction) -> Answer:
    version = {
        "id": "v3.6",
        "status": "stable",
        "updated": "2016-04-04T00:00:00Z",
        "links": [{"rel": "self", "href": f"{call.base_url}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }
    return Answer({"version": version})


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


HANDLERS: Mapping[str, Handler] = {
    "KeystoneCreateToken": create_token,
    "CreateTemporaryAccessKey": create_temporary_key,
    "KeystoneListProjects": list_projects,
    "KeystoneListAuthProjects": list_projects,
    "KeystoneListAuthDomains": list_domains,
    "KeystoneShowVersion": show_version,
}

ROUTES = (
    Operation("KeystoneCreateToken", "iam", "POST", "/v3/auth/tokens"),
    Operation("CreateTemporaryAccessKey", "iam", "POST", "/v3.0/OS-CREDENTIAL/securitytokens"),
    Operation("KeystoneListProjects", "iam", "GET", "/v3/projects"),
    Operation("KeystoneListAuthProjects", "iam", "GET", "/v3/auth/projects"),
    Operation("KeystoneListAuthDomains", "iam", "GET", "/v3/auth/domains"),
    Operation("KeystoneShowVersion", "iam", "GET", "/v3"),
)
