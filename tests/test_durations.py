from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudretry.durations import parse, show


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1m500ms", 60.5),
        ("1.5s", 1.5),
        (" 2h ", 7200),
        ("10S", 10),
        ("0s", 0),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["99999999h", "8785h", "9" * 400 + "ms"])
def test_more_than_a_year_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is too long a time; the longest is 8784h, a year$"):
        parse(text)


@pytest.mark.parametrize("text", ["", " ", "30", "-5s", "5 m", "s", "1m1h", "1s1s", "1d", ".5s", "1e3s", "٣s", "1h30"])
def test_what_is_no_duration_is_refused_with_the_form_and_not_with_what_may_be_a_secret(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a duration; write a number with its unit") as refused:
        parse(text)
    assert str(refused.value).endswith("as in 500ms, 30s, 5m or 1h30m")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (1.5, "1.5s"),
        (59.9996, "1m"),
        (90, "1m30s"),
        (3600, "1h"),
        (5400, "1h30m"),
        (86_400, "24h"),
        (3661.001, "1h1m1.001s"),
    ],
)
def test_seconds_are_shown_as_people_write_them(seconds: float, text: str) -> None:
    assert show(seconds) == text


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_what_is_no_length_of_time_cannot_be_shown(seconds: float) -> None:
    with pytest.raises(ValueError, match="is not a length of time"):
        show(seconds)


@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_shown_reads_back(milliseconds: int) -> None:
    assert parse(show(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)
