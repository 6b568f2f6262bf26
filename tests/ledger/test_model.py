"""The protocol, explored whole; and what becomes of it without each of its guards."""

from __future__ import annotations

import pytest
from model import BROKEN, QUICK, Model, explore


@pytest.mark.parametrize("form", QUICK)
def test_the_protocol_holds_in_every_order_of_every_step(form: str) -> None:
    found = explore(QUICK[form])
    assert (found.wrong, found.path) == ("", ())
    assert found.states > 1000


@pytest.mark.parametrize("guard", BROKEN)
def test_without_a_guard_it_does_not(guard: str) -> None:
    assert explore(Model(*BROKEN[guard], without=guard)).wrong
