"""The diagrams on the pages, drawn by the real Mermaid in a real browser, as GitHub draws them."""

from __future__ import annotations

import pytest
from doc_pages import Block, blocks
from drawing.studio import Diagram, Studio

from support.drawing import studio_at_hand

pytestmark = pytest.mark.timeout(1200)

ROLES = {
    "flowchart": "flowchart-v2",
    "gantt": "gantt",
    "sequenceDiagram": "sequence",
    "stateDiagram-v2": "stateDiagram",
    "timeline": "timeline",
}
"""What Mermaid calls the picture of a diagram, by its first word."""


@pytest.fixture(scope="module")
def studio() -> Studio:
    return studio_at_hand()


def drawn(studio: Studio, texts: list[str]) -> list[Diagram]:
    return studio.draw("\n\n".join(f"```mermaid\n{text}\n```" for text in texts))


def test_every_diagram_is_drawn(studio: Studio) -> None:
    found: list[Block] = blocks("mermaid")
    diagrams = drawn(studio, [block.text for block in found])
    assert len(diagrams) == len(found) > 2
    for block, diagram in zip(found, diagrams, strict=True):
        assert diagram.error == "", block
        role = ROLES[block.text.split(maxsplit=1)[0]]
        assert f'aria-roledescription="{role}"' in diagram.svg, block


def test_what_is_no_diagram_is_told(studio: Studio) -> None:
    (diagram,) = drawn(studio, ["flowchart TD\n  up([pulumi up)] --> done"])
    assert "Parse error" in diagram.error
