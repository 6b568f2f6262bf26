"""The package schema, derived from the actions and the configuration.

``python -m cloudretry.schema`` prints it. Nothing in it is written by hand but the outputs, which are the same for all
actions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from cloudretry import durations
from cloudretry.actions import ACTIONS, Action
from cloudretry.actions.base import FireWhen, OnUnknown, SuccessPolicy
from cloudretry.actions.drs_job import Language
from cloudretry.actions.modelarts_pool_scope import Scope
from cloudretry.config import ENVIRONMENT, KEY_PAIRS, ProviderConfig
from cloudretry.model import Status
from cloudretry.run import Reason
from cloudretry.version import __version__

__all__ = ["schema", "schema_text", "type_name"]

REPOSITORY = "https://github.com/pulumi-cloudretry/pulumi-cloudretry"
PLUGIN_DOWNLOAD_URL = "github://api.github.com/pulumi-cloudretry/pulumi-cloudretry"
"""Where the engine finds the archives of a release."""


def _listed(words: Iterable[str]) -> str:
    *first, last = (f"`{word}`" for word in words)
    return f"{', '.join(first)} or {last}" if first else last


_ANY = {"$ref": "pulumi.json#/Any"}
_STRING = {"type": "string"}
_INTEGER = {"type": "integer"}

_VALUES: Mapping[StrEnum, str] = {
    Status.ACCEPTED: "The cloud accepted the retry, and nothing was waited for.",
    Status.IN_PROGRESS: "The retry has not taken hold yet; the next `up` goes on waiting.",
    Status.SUCCEEDED: "The retry has taken hold.",
    Status.FAILED: "The retry failed; the next `up` fires the failed targets while attempts are left.",
    Status.PARTIALLY_FAILED: "Some targets failed, others did not.",
    Status.SKIPPED: "Nothing was fired, for the reason given.",
    Status.UNKNOWN: "A fire got no answer, and the cloud's state does not tell what became of it.",
    FireWhen.ALWAYS: "Fire without looking first.",
    FireWhen.RETRYABLE: "Look first, fire only what can be retried, and record the others as skipped.",
    SuccessPolicy.ALL: "Every target must succeed.",
    SuccessPolicy.ANY: "One target that succeeds is enough.",
    OnUnknown.FAIL: "Fail, and fire nothing that may have been fired already.",
    OnUnknown.FIRE: "Fire it again: to be fired twice does no harm.",
    Language.EN_US: "English.",
    Language.ZH_CN: "Chinese.",
    Scope.TRAIN: "Training jobs.",
    Scope.INFER: "Inference services.",
    Scope.NOTEBOOK: "Notebooks.",
}
"""What each value of an enumeration means."""

_RESULT = {
    "target": (_STRING, "The target, by its id."),
    "status": ({"$ref": "#/types/cloudretry:index:Status"}, "The verdict on this target."),
    "cloudStatus": (_STRING, "The cloud's own word for its state when it was last seen."),
    "attempts": (_INTEGER, "How often it was fired in this generation."),
    "firedAt": (_STRING, "When it was last fired (RFC 3339, UTC)."),
    "errorCode": (_STRING, "The cloud's error code."),
    "errorMessage": (_STRING, "The cloud's words, or ours where it said none."),
    "skippedReason": (
        _STRING,
        "Why it was not fired: `AlreadyRunning`, `InProgress`, `NotRetryable` or `Imported`.",
    ),
    "handle": (_STRING, "The id that status calls ask for, where the retry returned one of its own."),
    "before": (_STRING, "The job's times before the fire, while they are needed to recognize a rerun."),
}

_RUN = {
    "at": (_STRING, "When the run began (RFC 3339, UTC)."),
    "reason": (_STRING, f"Why: {_listed(Reason)}."),
    "generation": (_INTEGER, "The generation that it belongs to."),
    "triggers": ({"type": "array", "items": _STRING}, "The names of the triggers that changed; never their values."),
    "fired": (_INTEGER, "How many targets were fired."),
    "status": ({"$ref": "#/types/cloudretry:index:Status"}, "The verdict of the run."),
    "outcomes": ({"type": "object", "additionalProperties": _INTEGER}, "How many targets ended with which status."),
    "failedTargets": ({"type": "array", "items": _STRING}, "At most 20 of the failed targets."),
    "requestIds": ({"type": "array", "items": _STRING}, "At most 20 of the cloud's request ids."),
}

_OUTPUTS: dict[str, tuple[dict[str, Any], str]] = {
    "status": ({"$ref": "#/types/cloudretry:index:Status"}, "The verdict of the last run."),
    "generation": (
        _INTEGER,
        "How many times a fire of all targets was asked for: the create, and each trigger change.",
    ),
    "firedAt": (_STRING, "When a target was last fired (RFC 3339, UTC)."),
    "fireIds": ({"type": "array", "items": _STRING}, "The ids of the last run's fires, as the journal has them."),
    "requestIds": ({"type": "array", "items": _STRING}, "The cloud's ids of the last run's requests."),
    "emulator": ({"type": "boolean"}, "True if no real cloud was called."),
    "results": (
        {"type": "array", "items": {"$ref": "#/types/cloudretry:index:TargetResult"}},
        "What came of each target.",
    ),
    "history": (
        {"type": "array", "items": {"$ref": "#/types/cloudretry:index:Run"}},
        "The last 20 runs, oldest first.",
    ),
}

_REQUIRED_OUTPUTS = ("status", "generation", "fireIds", "requestIds", "emulator", "results", "history", "triggers")

_OUTPUT_WORDS = {"retryJobId": "The id of the task that the retry started; it may differ from `jobId`."}


class _Types(dict[str, Any]):
    """The types of the schema, collected while the properties are written."""

    def of(self, annotation: Any, module: str, path: str = "") -> dict[str, Any]:
        """The type of a field; models and enumerations are added on the way. ``path`` is that of a setting."""
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self.of(_written_as(arguments[0], arguments[1:]), module, path)
        if origin in (Union, UnionType):
            (inner,) = (argument for argument in arguments if argument is not type(None))
            return self.of(inner, module, path)
        if origin is list:
            return {"type": "array", "items": self.of(arguments[0], module, path)}
        if origin is dict or origin is Mapping:
            return {"type": "object", "additionalProperties": self.of(arguments[1], module, path)}
        if annotation is SecretStr:
            return {"type": "string", "secret": True}
        simple = {str: "string", bool: "boolean", int: "integer", float: "number"}.get(annotation)
        if simple:
            return {"type": simple}
        if annotation is Any:
            return dict(_ANY)
        return {"$ref": f"#/types/{self._named(annotation, module, path)}"}

    def _named(self, kind: type[Any], module: str, path: str) -> str:
        module = "index" if kind.__module__.endswith(("actions.base", "config", "model")) else module
        token = f"cloudretry:{module}:{type_name(kind, module, path)}"
        if token not in self:
            self[token] = {}
            self[token] = self._enumeration(kind) if issubclass(kind, StrEnum) else self._object(kind, module, path)
        return token

    @staticmethod
    def _enumeration(kind: type[StrEnum]) -> dict[str, Any]:
        values = [{"name": _pascal(item.name), "value": item.value, "description": _VALUES[item]} for item in kind]
        return {"type": "string", "description": _first_paragraph(kind), "enum": values}

    def _object(self, kind: type[BaseModel], module: str, path: str) -> dict[str, Any]:
        properties, required = self.properties(kind, module, path)
        return {
            "type": "object",
            "description": _first_paragraph(kind),
            "properties": properties,
            "required": required,
        }

    def properties(self, kind: type[BaseModel], module: str, path: str = "") -> tuple[dict[str, Any], list[str]]:
        """The properties of a model, and those that are required; its own before those that it inherits."""
        own = kind.__annotations__
        in_order = sorted(kind.model_fields.items(), key=lambda item: item[0] not in own)
        fields = {field.alias or name: field for name, field in in_order}
        properties = {
            name: self._property(field, module, f"{path}.{name}".lstrip(".")) for name, field in fields.items()
        }
        return properties, sorted(name for name, field in fields.items() if field.is_required())

    def _property(self, field: FieldInfo, module: str, path: str) -> dict[str, Any]:
        written = _written_as(field.annotation, field.metadata)
        described = {**self.of(written, module, path), "description": field.description}
        default = field.get_default()
        if written is str and isinstance(default, float):
            default = durations.show(default)
        if isinstance(default, bool | int | float | str) and not field.is_required():
            described["description"] += f" Default: `{json.dumps(default)}`."
        if variables := _VARIABLES.get(path):
            described["description"] += f" From the environment: {_listed(variables)}."
        return described


def type_name(kind: type[Any], module: str, path: str = "") -> str:
    """What the SDKs call a type: without the name of the module that it is in, with that of the section it is for."""
    *sections, _ = path.split(".")
    name = kind.__name__.removeprefix(_pascal(module))
    return "".join(map(_pascal, sections)) + name


def _variables() -> Mapping[str, tuple[str, ...]]:
    found = dict(ENVIRONMENT)
    for section, rows in KEY_PAIRS.items():
        for key in rows[0]:
            found[f"{section}.{key}"] = tuple(row[key] for row in rows)
    return found


_VARIABLES = _variables()


def _written_as(annotation: Any, metadata: Iterable[Any]) -> Any:
    """The type that people write: of a duration a string, though it is kept in seconds."""
    given = (item.json_schema_input_type for item in metadata if isinstance(item, BeforeValidator))
    return next((kind for kind in given if isinstance(kind, type)), annotation)


@cache
def schema_text() -> str:
    """The schema as compact JSON, as the plugin answers with it."""
    return json.dumps(schema(), separators=(",", ":"))


def schema() -> dict[str, Any]:
    """The schema as a Pulumi package specification."""
    types = _Types()
    types.of(Status, "index")
    types["cloudretry:index:TargetResult"] = _described_object(
        "What came of one target.", _RESULT, ("target", "status", "attempts")
    )
    types["cloudretry:index:Run"] = _described_object(
        "One run in the history.", _RUN, ("at", "reason", "generation", "fired", "status", "outcomes")
    )
    config, _ = types.properties(ProviderConfig, "index")
    resources = {action.token: _resource(action, types) for action in ACTIONS.values()}
    return {
        "name": "cloudretry",
        "displayName": "Cloud Retry",
        "version": __version__,
        "description": "Retry actions of cloud APIs as resources: fired once, waited for, recorded.",
        "keywords": ["pulumi", "cloudretry", "category/cloud", "kind/native"],
        "homepage": REPOSITORY,
        "repository": REPOSITORY,
        "license": "Apache-2.0",
        "publisher": "pulumi-cloudretry",
        "pluginDownloadURL": PLUGIN_DOWNLOAD_URL,
        "meta": {"moduleFormat": "(.*)"},
        "config": {"variables": config},
        "provider": {
            "description": "Where and how the clouds are called. Every property may also come from the stack's "
            "configuration (`cloudretry:*`); a secret stays out of the state if it comes from the environment.",
            "inputProperties": config,
        },
        "types": dict(sorted(types.items())),
        "resources": resources,
        "language": {
            "python": {
                "packageName": "pulumi_cloudretry",
                "requires": {"pulumi": ">=3.269.0,<4.0.0"},
                "respectSchemaVersion": True,
                "pyproject": {"enabled": True},
                "inputTypes": "classes-and-dicts",
            },
            "nodejs": {
                "packageName": "@pulumi-cloudretry/cloudretry",
                "dependencies": {"@pulumi/pulumi": "^3.269.0"},
                "devDependencies": {"typescript": "^5.0.0", "@types/node": "^20"},
                "respectSchemaVersion": True,
            },
            "go": {
                "importBasePath": "github.com/pulumi-cloudretry/pulumi-cloudretry/sdk/go/cloudretry",
                "generateResourceContainerTypes": True,
                "respectSchemaVersion": True,
            },
        },
    }


def _resource(action: Action[Any], types: _Types) -> dict[str, Any]:
    inputs, required = types.properties(action.inputs, action.module)
    extra = {name: (_STRING, _OUTPUT_WORDS[name]) for name in action.outputs([])}
    outputs = {name: {**kind, "description": words} for name, (kind, words) in (_OUTPUTS | extra).items()}
    place = [name for name in ("region", "projectId") if name in inputs]
    return {
        "description": _description(action),
        "inputProperties": inputs,
        "requiredInputs": required,
        "properties": inputs | outputs,
        "required": sorted({*required, *place, *_REQUIRED_OUTPUTS}),
    }


def _description(action: Action[Any]) -> str:
    # How the sources were reconciled is for those who work on the action, not for those who use it.
    told = [
        paragraph for paragraph in _paragraphs(type(action)) if not paragraph.startswith("Where the sources differ")
    ]
    parts = [
        *told,
        "Creating it fires once; so does every change of a value in `triggers`, and a target that is added fires "
        "alone. After a failure the next `up` fires what failed, while attempts are left. A refresh, a changed setting "
        "and a delete fire nothing.",
        f"Waiting ends when {action.done_when}.",
    ]
    if action.deprecation:
        parts.append(f"**Note**: {action.deprecation}")
    parts.append(f"API: {action.source}.")
    return "\n\n".join(parts)


def _described_object(words: str, properties: Mapping[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": words,
        "properties": {name: {**kind, "description": text} for name, (kind, text) in properties.items()},
        "required": sorted(required),
    }


def _paragraphs(kind: type[Any]) -> Iterator[str]:
    for paragraph in (kind.__doc__ or "").split("\n\n"):
        yield " ".join(paragraph.split()).replace("``", "`")


def _first_paragraph(kind: type[Any]) -> str:
    return next(_paragraphs(kind))


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
