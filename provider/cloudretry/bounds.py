"""How much may come from outside: from a cloud's answer, and from an input or a setting.

What exceeds a bound of an answer leaves a fire ``unknown`` and a look without an answer; what exceeds a bound of an
input or a setting is a finding at check. Neither is ever an exception that reaches the engine.
"""

from __future__ import annotations

__all__ = [
    "DEEPEST_ANSWER",
    "LARGEST_FAILURE",
    "LARGEST_INPUTS",
    "LARGEST_RATE",
    "LONGEST_ANSWER",
    "LONGEST_DURATION",
    "LONGEST_EXCERPT",
    "LONGEST_EXPORT",
    "LONGEST_MESSAGE",
    "LONGEST_NAME",
    "LONGEST_REMEDY",
    "LONGEST_REQUEST_LINE",
    "LONGEST_RETRY_AFTER",
    "LONGEST_SETTINGS",
    "LONGEST_TIMEOUT",
    "MOST_FINDINGS",
    "MOST_LISTED",
    "MOST_TARGETS",
    "SHORTEST_DURATION",
    "SMALLEST_RATE",
]

# --- what a cloud answers ---

LONGEST_ANSWER = 8 * 1024 * 1024
"""Bytes of one answer, unpacked. The longest real one, a page of a thousand jobs, is below one megabyte."""

DEEPEST_ANSWER = 64
"""Levels of objects and lists in one answer. The deepest real one, a pool's details, has some ten."""

LONGEST_NAME = 128
"""Characters of what names something: an error code, a request id, a state, a handle, a job's times."""

LONGEST_MESSAGE = 500
"""Characters of a cloud's message about one target or request, as it is kept in state and journal."""

LONGEST_REMEDY = 4_096
"""Characters of what a cloud wants to be decoded or looked up, which is worth nothing if it is cut."""

LONGEST_EXCERPT = 200
"""Characters that are quoted of an answer that cannot be read, or of an address that it names."""

LONGEST_RETRY_AFTER = 86_400.0
"""Seconds that a cloud may ask to wait before a request is sent again; a longer time counts as this one."""

MOST_LISTED = 50_000
"""Things of one list that are read. What is not found among them has no answer, rather than being taken for absent."""

# --- what is sent ---

LONGEST_REQUEST_LINE = 6_000
"""Bytes of the parameters in a request line. Gateways refuse a line of more than 8 KiB."""

# --- inputs and settings ---

SHORTEST_DURATION = 0.001
"""Seconds of the shortest duration that is not nothing."""

LONGEST_DURATION = 366 * 86_400.0
"""Seconds of the longest duration: a cooldown of a year."""

LONGEST_TIMEOUT = 3_600.0
"""Seconds of the longest time-out of one connection or answer."""

SMALLEST_RATE = 0.001
"""The fewest requests per second: one in a quarter of an hour."""

LARGEST_RATE = 10_000.0
"""The most requests per second; more than this is no limit."""

MOST_TARGETS = 10_000
"""Targets of one resource, such that all of them may fail and still be saved."""

LARGEST_INPUTS = 3_000_000
"""Bytes of one resource's inputs as a message. What is saved repeats them, and names each target once more."""

MOST_FINDINGS = 100
"""Findings that are told of one resource; the others are counted."""

# --- what is handed to the engine ---

LARGEST_FAILURE = 12_000_000
"""Bytes of what a failed run hands over. It goes as a gRPC trailer, in base64: the engine reads 16 MiB of that, and at
more it ends the connection, and every call on it."""

# --- files ---

LONGEST_SETTINGS = 8 * 1024 * 1024
"""Bytes of a file that a person wrote: profiles, a provider's keys, inputs, a scenario."""

LONGEST_EXPORT = 512 * 1024 * 1024
"""Bytes of what `pulumi stack export` made, in a file that is reported of."""
