"""The program of every engine test: it declares what `resources.json` lists, with the classes of the front named there.

Inputs are written as Pulumi writes them (`jobId`). A value may be `{"$secret": value}`, `{"$output": [resource,
property]}`, or `{"$later": value}`, which a preview does not know yet.
"""

import importlib
import json
import re
from pathlib import Path

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

import pulumi_cloudretry


class LaterProvider(ResourceProvider):
    def create(self, _props):
        return CreateResult("later", {"value": "now"})


class Later(Resource):
    value: pulumi.Output


declared = json.loads(Path("resources.json").read_text(encoding="utf-8"))
components = {}
laters = []
providers = {}
resources = {}


def valued(value, name):
    if isinstance(value, list):
        return [valued(item, name) for item in value]
    if not isinstance(value, dict):
        return value
    if "$secret" in value:
        return pulumi.Output.secret(value["$secret"])
    if "$output" in value:
        resource, prop = value["$output"]
        return getattr(resources[resource], prop)
    if "$later" in value:
        laters.append(Later(LaterProvider(), f"later-{name}-{len(laters)}", {"value": None}))
        later = laters[-1]
        return later.value.apply(lambda _: value["$later"])
    return {key: valued(item, name) for key, item in value.items()}


def snake(name):
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)


def job(item):
    return {snake(key): value for key, value in item.items()} if isinstance(item, dict) else item


def options(given):
    given = {snake(name): value for name, value in given.items()}
    given["depends_on"] = [resources[name] for name in given.get("depends_on", ())]
    for name, known in (("parent", components), ("provider", providers)):
        if name in given:
            given[name] = known[given[name]]
    if "custom_timeouts" in given:
        given["custom_timeouts"] = pulumi.CustomTimeouts(**given["custom_timeouts"])
    if "aliases" in given:
        given["aliases"] = [item if isinstance(item, str) else pulumi.Alias(**item) for item in given["aliases"]]
    return pulumi.ResourceOptions(**given)


def class_of(front, module, name):
    if front == "dynamic":
        # It takes its time, which the plugin's classes need not spend.
        return getattr(importlib.import_module("pulumi_cloudretry.dynamic"), name)
    return getattr(getattr(pulumi_cloudretry, module), name)


for name in declared["components"]:
    components[name] = pulumi.ComponentResource("test:index:Component", name)
for name, config in declared["providers"].items():
    providers[name] = pulumi_cloudretry.Provider(
        name, **{snake(key): valued(value, name) for key, value in config.items()}
    )
for name, resource in declared["resources"].items():
    module, class_name = resource["type"].split(":")
    inputs = {snake(key): valued(value, name) for key, value in resource["inputs"].items()}
    if isinstance(inputs.get("jobs"), list):
        inputs["jobs"] = [job(item) for item in inputs["jobs"]]
    declare = class_of(resource.get("front", declared["front"]), module, class_name)
    resources[name] = declare(name, opts=options(resource.get("opts", {})), **inputs)
    for output in resource.get("exports", ()):
        pulumi.export(f"{name}.{output}", getattr(resources[name], snake(output)))
