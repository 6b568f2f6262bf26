"""The rows of the table, by letter."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.rows.batch import BATCH
from benchmark.rows.growth import GROWTH
from benchmark.rows.polls import POLLS
from benchmark.rows.process import PROCESS
from benchmark.rows.resources import RESOURCES
from benchmark.rows.row import Row
from benchmark.rows.state import STATE
from benchmark.rows.waits import WAITS

__all__ = ["ROWS"]

ROWS: Mapping[str, Row] = {row.letter: row for row in (RESOURCES, WAITS, POLLS, BATCH, STATE, PROCESS, GROWTH)}
