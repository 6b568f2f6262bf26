"""Files and resources as triggers, through the engine: it is their content that counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudretry.emulator import Emulator
from cloudretry.plugin.install import install
from support.pulumi_cli import Stack

PROGRAM = """
import pulumi
import pulumi_cloudretry as cloudretry

first = cloudretry.drs.JobBatchRetry("first", jobs=[{{"job_id": "jb1"}}])
cloudretry.drs.JobBatchRetry(
    "second",
    jobs=[{{"job_id": "jb2"}}],
    triggers={{
        "file": pulumi.FileAsset({path!r}),
        "archive": pulumi.AssetArchive({{"settings": pulumi.StringAsset("same")}}),
        "resource": first,
    }},
)
"""


@pytest.mark.engine
def test_a_file_that_was_moved_fires_nothing_and_one_that_was_changed_fires_once(
    tmp_path: Path, emulator: Emulator
) -> None:
    program = tmp_path / "program"
    program.mkdir()
    (program / "Pulumi.yaml").write_text("name: plain\nruntime: python\n", encoding="utf-8")

    def declare(path: str, content: str) -> None:
        (program / path).write_text(content, encoding="utf-8")
        (program / "__main__.py").write_text(PROGRAM.format(path=path), encoding="utf-8")

    declare("settings.json", "1")
    stack = Stack(tmp_path, program)
    install(stack.home)
    stack.configure(emulator=emulator.url)
    stack.up()
    declare("moved.json", "1")
    assert stack.preview() == []
    stack.up()
    assert emulator.target("jb2").times_fired == 1

    declare("moved.json", "2")
    (step,) = stack.preview()
    assert list(step["detailedDiff"]) == ["triggers.file"]
    emulator.set_state("jb2", "FULL_TRANSFER_FAILED")
    stack.up()
    assert emulator.target("jb2").times_fired == 2
    assert emulator.target("jb1").times_fired == 1
