"""What the dynamic classes make of what the lifecycle says, where the engine takes no part."""

from __future__ import annotations

import pytest

from cloudretry import lifecycle
from cloudretry.errors import FireInDoubt
from cloudretry.lifecycle import Outcome
from pulumi_cloudretry.dynamic.provider import ActionProvider, InDoubt


def test_a_create_in_doubt_leaves_no_state_that_says_that_nothing_was_fired(monkeypatch: pytest.MonkeyPatch) -> None:
    async def in_doubt(*_arguments: object) -> Outcome:
        raise FireInDoubt("whether it was saved is not known")

    monkeypatch.setattr(lifecycle, "create", in_doubt)
    provider = ActionProvider("cloudretry:drs:JobBatchRetry")
    provider._config = "{}"
    with pytest.raises(InDoubt, match="whether it was saved is not known"):
        provider.create({"jobs": [{"jobId": "jb1"}]})
