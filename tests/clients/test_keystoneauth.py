"""keystoneauth1, as OpenStack clients use it: a password, a token, an adapter."""

from __future__ import annotations

import pytest
from keystoneauth1 import adapter, discover, exceptions, session
from keystoneauth1.identity import v3

from cloudretry.emulator import CREDENTIALS

POOL = "pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd"


def by_password(emulator, password=CREDENTIALS.password, **scope):
    scope = scope or {"project_name": CREDENTIALS.project_name, "project_domain_name": CREDENTIALS.domain_name}
    return v3.Password(
        f"{emulator.url}/v3",
        username=CREDENTIALS.user_name,
        password=password,
        user_domain_name=CREDENTIALS.domain_name,
        **scope,
    )


@pytest.fixture
def connect(emulator):
    opened = []

    def adapt(auth):
        keystone = session.Session(auth=auth)
        opened.append(keystone)
        return adapter.Adapter(keystone, endpoint_override=emulator.url)

    yield adapt
    for keystone in opened:
        keystone.session.close()


def test_one_sign_in_serves_many_calls(emulator, connect):
    client = connect(by_password(emulator))
    path = f"/v2/{CREDENTIALS.project_id}/pools/{POOL}"
    assert client.get(path).json()["status"]["scope"][1]["state"] == "EnableFailed"
    assert client.post(f"{path}/retry-scope", json={"scope": "Infer"}).json() == {}
    assert client.get_project_id() == CREDENTIALS.project_id
    assert [record.operation for record in emulator.requests()] == ["KeystoneCreateToken", "ShowPool", "RetryPoolScope"]


def test_a_wrong_password_is_unauthorized(emulator, connect):
    with pytest.raises(exceptions.Unauthorized, match="The username or password is wrong"):
        connect(by_password(emulator, "wrong")).get("/v3/projects")


def test_a_token_can_be_scoped_to_the_domain(emulator, connect):
    client = connect(by_password(emulator, domain_name=CREDENTIALS.domain_name))
    projects = client.get("/v3/projects", params={"name": CREDENTIALS.project_name}).json()["projects"]
    assert [project["id"] for project in projects] == [CREDENTIALS.project_id]
    with pytest.raises(exceptions.Forbidden):
        client.get(f"/v2/{CREDENTIALS.project_id}/pools")


def test_an_application_credential_signs_in(emulator, connect):
    auth = v3.ApplicationCredential(
        f"{emulator.url}/v3",
        application_credential_id=CREDENTIALS.application_credential_id,
        application_credential_secret=CREDENTIALS.application_credential_secret,
    )
    assert connect(auth).get(f"/v2/{CREDENTIALS.project_id}/pools").status_code == 200


def test_a_token_that_was_taken_back_is_renewed_once(emulator, connect):
    client = connect(by_password(emulator))
    client.get(f"/v2/{CREDENTIALS.project_id}/pools")
    emulator.add_fault("ListPools", status=401, body={"error_code": "APIGW.0307", "error_msg": "renew"})
    assert client.get(f"/v2/{CREDENTIALS.project_id}/pools").status_code == 200
    assert len(emulator.requests("KeystoneCreateToken")) == 2


def test_the_catalog_leads_to_the_services(emulator, connect):
    auth = by_password(emulator)
    client = connect(auth)
    assert client.session.get_endpoint(auth, service_type="drs", interface="public") == (
        f"{emulator.url}/v3/{CREDENTIALS.project_id}"
    )


def test_version_three_is_discovered(emulator, connect):
    found = discover.Discover(connect(by_password(emulator)).session, f"{emulator.url}/v3", authenticated=False)
    assert found.url_for("v3") == f"{emulator.url}/v3/"
