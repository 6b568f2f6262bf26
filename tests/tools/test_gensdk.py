"""The SDK generator: three languages from one schema, checked first; what people wrote stays."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        shutil.which("go") is None and not (ROOT / ".engine/bin/gensdk").exists(), reason="needs Go to build it"
    ),
]


@pytest.fixture(scope="module")
def gensdk() -> Path:
    subprocess.run([sys.executable, ROOT / "tools/setup.py", "--gensdk"], check=True)
    return ROOT / ".engine/bin/gensdk"


def schema(*resources: str) -> dict[str, Any]:
    return {
        "name": "cloudretry",
        "version": "1.2.3",
        "resources": {
            name: {"inputProperties": {"jobId": {"type": "string"}}, "requiredInputs": ["jobId"]} for name in resources
        },
        "language": {"python": {"packageName": "pulumi_cloudretry"}, "nodejs": {"respectSchemaVersion": True}},
    }


def generate(gensdk: Path, folder: Path, content: dict[str, Any], *languages: str) -> subprocess.CompletedProcess[str]:
    (folder / "schema.json").write_text(json.dumps(content), encoding="utf-8")
    return subprocess.run(
        [gensdk, "schema.json", "sdk", *languages], cwd=folder, capture_output=True, text=True, check=False
    )


def test_each_language_gets_a_class_for_the_resource(gensdk: Path, tmp_path: Path) -> None:
    ended = generate(gensdk, tmp_path, schema("cloudretry:drs:JobBatchRetry"), "python", "nodejs", "go")
    assert ended.returncode == 0, ended.stderr
    for path in (
        "python/pulumi_cloudretry/drs/job_batch_retry.py",
        "nodejs/drs/jobBatchRetry.ts",
        "go/cloudretry/drs/jobBatchRetry.go",
    ):
        assert "JobBatchRetry" in (tmp_path / "sdk" / path).read_text(encoding="utf-8")


def test_packaging_of_the_python_sdk_is_left_to_the_repository(gensdk: Path, tmp_path: Path) -> None:
    generate(gensdk, tmp_path, schema("cloudretry:drs:JobBatchRetry"), "python")
    assert os.listdir(tmp_path / "sdk/python") == ["pulumi_cloudretry"]


def test_a_file_that_is_generated_no_more_goes_and_a_file_by_hand_stays(gensdk: Path, tmp_path: Path) -> None:
    generate(gensdk, tmp_path, schema("cloudretry:drs:Old"), "python")
    package = tmp_path / "sdk/python/pulumi_cloudretry"
    by_hand = package / "dynamic/__init__.py"
    by_hand.parent.mkdir()
    by_hand.write_text('"""By hand."""\n', encoding="utf-8")
    generate(gensdk, tmp_path, schema("cloudretry:drs:New"), "python")
    assert by_hand.exists()
    assert not (package / "drs/old.py").exists()
    assert (package / "drs/new.py").exists()


def test_a_schema_with_a_dangling_reference_is_refused_by_name(gensdk: Path, tmp_path: Path) -> None:
    wrong = schema("cloudretry:drs:JobBatchRetry")
    wrong["resources"]["cloudretry:drs:JobBatchRetry"]["properties"] = {"x": {"$ref": "#/types/cloudretry:drs:Job"}}
    ended = generate(gensdk, tmp_path, wrong, "python")
    assert ended.returncode == 1
    assert "cloudretry:drs:Job" in ended.stderr
    assert not (tmp_path / "sdk").exists()


def test_a_misspelt_field_of_the_schema_is_refused(gensdk: Path, tmp_path: Path) -> None:
    ended = generate(gensdk, tmp_path, {**schema(), "resorces": {}}, "python")
    assert ended.returncode == 1
    assert 'unknown field "resorces"' in ended.stderr


def test_an_unknown_language_is_refused(gensdk: Path, tmp_path: Path) -> None:
    ended = generate(gensdk, tmp_path, schema(), "cobol")
    assert ended.returncode == 1
    assert ended.stderr == 'gensdk: unknown language "cobol": choose from python, nodejs, go\n'
