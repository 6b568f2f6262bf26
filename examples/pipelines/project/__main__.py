"""Declares each retry that retries.yaml lists; a type and its inputs are named there as in the Python package."""

from pathlib import Path

import pulumi
import yaml

import pulumi_cloudretry as cloudretry

# The time-out of the pipeline's job has to be longer.
LONGEST = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="30m", update="30m"))

for name, retry in yaml.safe_load(Path("retries.yaml").read_text(encoding="utf-8")).items():
    module, kind = retry["type"].split(".")
    resource = getattr(getattr(cloudretry, module), kind)
    pulumi.export(name, resource(name, **retry["inputs"], opts=LONGEST).status)
