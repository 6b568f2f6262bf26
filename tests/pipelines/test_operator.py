"""The manifests for the Pulumi Kubernetes Operator, against Kubernetes' own schemas, the operator's, and ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from team import EXAMPLES

from cloudretry.actions import ACTIONS
from cloudretry.config import ENVIRONMENT, KEY_PAIRS, problems
from cloudretry.inputs import check
from cloudretry.schema import schema

FOLDER = EXAMPLES / "kubernetes-operator"
KUBERNETES = "1.33"
JOURNAL = "/var/lib/cloudretry"

CRDS = os.environ.get("PULUMI_OPERATOR_CRDS", "")


def manifests() -> dict[str, dict[str, Any]]:
    """Every object of the folder, by its kind."""
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    documents = [item for name in listed for item in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))]
    return {document["kind"]: document for document in documents}


MANIFESTS = manifests()
STACK = MANIFESTS["Stack"]["spec"]
PROGRAM = MANIFESTS["Program"]["program"]
POD = STACK["workspaceTemplate"]["spec"]["podTemplate"]["spec"]


def test_every_file_of_the_folder_is_applied() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert {*listed, "kustomization.yaml"} == {path.name for path in FOLDER.iterdir()}
    assert set(MANIFESTS) == {"PersistentVolumeClaim", "ServiceAccount", "ClusterRoleBinding", "Program", "Stack"}


# --- Kubernetes' own objects ---


@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "ServiceAccount", "ClusterRoleBinding"])
def test_kubernetes_takes_its_own_objects(kind: str) -> None:
    kubernetes_validate.validate(MANIFESTS[kind], KUBERNETES, strict=True)


def pod(**changes: Any) -> dict[str, Any]:
    """The pod of the workspace, as far as the template says what is in it."""
    container = {**POD["containers"][0], "image": STACK["workspaceTemplate"]["spec"]["image"]}
    container["resources"] = STACK["workspaceTemplate"]["spec"]["resources"]
    spec = {**POD, "containers": [container], **changes}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "workspace"}, "spec": spec}


def test_kubernetes_takes_the_pod_of_the_workspace() -> None:
    kubernetes_validate.validate(pod(), KUBERNETES, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError, match="fsgroup"):
        kubernetes_validate.validate(pod(securityContext={"fsgroup": 1000}), KUBERNETES, strict=True)


# --- the operator's objects: the fields that are used here, from its reference (version 2.9) ---


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class _SecretKey(_Fields):
    name: str
    key: str
    namespace: str = ""


class _LiteralValue(_Fields):
    value: str


class _FromSecret(_Fields):
    type: Literal["Secret"]
    secret: _SecretKey


class _FromLiteral(_Fields):
    type: Literal["Literal"]
    literal: _LiteralValue


class _ProgramRef(_Fields):
    name: str


class _PodTemplate(_Fields):
    spec: dict[str, Any]


class _WorkspaceSpec(_Fields):
    image: str
    security_profile: Literal["baseline", "restricted"]
    resources: dict[str, Any]
    pod_template: _PodTemplate


class _WorkspaceTemplate(_Fields):
    spec: _WorkspaceSpec


class _Stack(_Fields):
    stack: str
    program_ref: _ProgramRef
    service_account_name: str
    backend: str
    secrets_provider: str
    config: dict[str, Any]
    env_refs: dict[str, Annotated[_FromSecret | _FromLiteral, Field(discriminator="type")]]
    continue_resync_on_commit_match: bool
    resync_frequency_seconds: Annotated[int, Field(ge=60)]
    refresh: bool
    retry_max_backoff_duration_seconds: int
    workspace_template: _WorkspaceTemplate


class _Timeouts(_Fields):
    create: str
    update: str


class _Options(_Fields):
    custom_timeouts: _Timeouts


class _Resource(_Fields):
    type: Annotated[str, StringConstraints(min_length=1)]
    properties: dict[str, Any]
    options: _Options


class _Program(_Fields):
    resources: dict[str, _Resource]
    outputs: dict[str, Any]


def test_the_stack_and_the_program_have_the_fields_of_the_operator() -> None:
    assert {MANIFESTS[kind]["apiVersion"] for kind in ("Stack", "Program")} == {"pulumi.com/v1"}
    _Stack.model_validate(STACK)
    _Program.model_validate(PROGRAM)


@pytest.mark.skipif(not CRDS, reason="PULUMI_OPERATOR_CRDS names no folder with the operator's CRDs (its deploy/crds)")
@pytest.mark.parametrize("kind", ["Stack", "Program"])
def test_the_operators_own_schemas_take_them(kind: str) -> None:
    wanted = schema_of(kind)
    assert list(wanted.iter_errors(MANIFESTS[kind])) == []
    misspelt = yaml.safe_load(re.sub(r"\b(programRef|customTimeouts):", r"\1x:", yaml.safe_dump(MANIFESTS[kind])))
    assert list(wanted.iter_errors(misspelt)) != []


def schema_of(kind: str) -> jsonschema.Draft202012Validator:
    for path in Path(CRDS).glob("*.yaml"):
        definition = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
        if definition["names"]["kind"] == kind:
            (version,) = [item for item in definition["versions"] if item["name"] == "v1"]
            return jsonschema.Draft202012Validator(closed(version["schema"]["openAPIV3Schema"]))
    raise LookupError(f"{CRDS} has no {kind}")


def closed(node: Any) -> Any:
    """A CRD's schema in which a field that it does not know is wrong; the cluster would drop it without a word."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    done = {key: closed(value) for key, value in node.items()}
    # `metadata` is an object of which the schema says nothing more.
    if isinstance(done.get("properties"), dict) and not done.get("x-kubernetes-preserve-unknown-fields"):
        done.setdefault("additionalProperties", False)
    return done


# --- what the objects say of each other, and of the provider ---


def test_the_journal_is_on_the_claim_and_can_be_written() -> None:
    (volume,) = POD["volumes"]
    (mounted,) = POD["containers"][0]["volumeMounts"]
    assert POD["containers"][0]["name"] == "pulumi"
    assert volume["persistentVolumeClaim"]["claimName"] == MANIFESTS["PersistentVolumeClaim"]["metadata"]["name"]
    assert mounted == {"name": volume["name"], "mountPath": JOURNAL}
    assert STACK["config"]["cloudretry:journalDir"] == f"{JOURNAL}/journal"
    # The operator runs a restricted workspace as user and group 1000.
    assert STACK["workspaceTemplate"]["spec"]["securityProfile"] == "restricted"
    assert POD["securityContext"]["fsGroup"] == 1000
    # The journal in the claim stays what its user made it.
    assert POD["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_every_name_leads_to_an_object() -> None:
    account = MANIFESTS["ServiceAccount"]["metadata"]["name"]
    binding = MANIFESTS["ClusterRoleBinding"]
    namespace = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))["namespace"]
    assert STACK["programRef"]["name"] == MANIFESTS["Program"]["metadata"]["name"]
    assert STACK["serviceAccountName"] == account
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": namespace}]


def test_the_provider_takes_the_configuration_and_reads_the_environment() -> None:
    ours = {key.removeprefix("cloudretry:"): value for key, value in STACK["config"].items()}
    assert problems(ours) == []
    known = {name for names in ENVIRONMENT.values() for name in names}
    known |= {name for rows in KEY_PAIRS.values() for row in rows for name in row.values()}
    assert set(STACK["envRefs"]) - known == {"PULUMI_CONFIG_PASSPHRASE"}
    secret = {name for name, value in STACK["envRefs"].items() if value["type"] == "Secret"}
    assert secret == {"PULUMI_CONFIG_PASSPHRASE", "HW_ACCESS_KEY", "HW_SECRET_KEY"}


@pytest.mark.parametrize("name", PROGRAM["resources"])
def test_the_provider_takes_the_resources_of_the_program(name: str) -> None:
    resource = PROGRAM["resources"][name]
    assert check(ACTIONS[resource["type"]], resource["properties"]) == []


def test_the_outputs_of_the_program_are_outputs_of_its_resources() -> None:
    for value in texts(PROGRAM["outputs"]):
        name, _, output = value.removeprefix("${").removesuffix("}").partition(".")
        assert output in schema()["resources"][PROGRAM["resources"][name]["type"]]["properties"]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
