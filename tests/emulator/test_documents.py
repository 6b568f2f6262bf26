"""What editors and type checkers know of scenarios and faults is what the emulator takes."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from cloudretry.emulator import documents, faults, scenario


@pytest.mark.parametrize(
    ("document", "model"),
    [
        (documents.Scenario, scenario.Scenario),
        (documents.Project, scenario.ProjectSpec),
        (documents.Pool, scenario.PoolSpec),
        (documents.Scope, scenario.ScopeSpec),
        (documents.VisualizationJob, scenario.VisualizationJobSpec),
        (documents.WorkspaceJob, scenario.WorkspaceJobSpec),
        (documents.DrsJob, scenario.DrsJobSpec),
        (documents.Cluster, scenario.ClusterSpec),
        (documents.ClusterJob, scenario.EhpcJobSpec),
        (documents.Refusal, scenario.Refuse),
    ],
    ids=lambda either: either.__name__,
)
def test_a_document_has_the_keys_of_its_model_and_requires_the_same(document, model):
    fields = {field.alias: field for field in model.model_fields.values()}
    assert get_type_hints(document).keys() == fields.keys()
    assert document.__required_keys__ == {name for name, field in fields.items() if field.is_required()}


def test_a_fault_has_the_keys_of_its_model_but_for_the_operation():
    assert get_type_hints(documents.Fault).keys() == faults.Fault.model_fields.keys() - {"operation"}
