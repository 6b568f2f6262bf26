"""The benchmark measures what it says, in any order of failure, and its page says what was measured."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench
import psutil
import pytest
import requests
from benchmark import machine, record, report
from benchmark.bench import QUICK, Attempt, Bench, BenchError, Progress, Scale, turns
from benchmark.charts import CHARTS, MARK, draw
from benchmark.cloud import FIRE, LOOK, PROJECT, Cloud, job
from benchmark.contenders import FLOOR, NULL, PLAIN, PLUGIN
from benchmark.engine import configuration
from benchmark.figures import Spread, differences, most_within, ratios, rounded
from benchmark.profile import profile, read_profile
from benchmark.rows import ROWS
from benchmark.rows.row import Finding, Row

from .conftest import ROOT

RECORDED = Path(__file__).parent / "recorded"

TINY = replace(
    QUICK,
    rounds=1,
    resources=(2,),
    waits=3,
    wait_seconds=0.2,
    watched=5,
    watch_seconds=1.0,
    watch_interval=0.5,
    batch=120,
    growth_targets=(2, 20),
    growth_resources=(),
    starts=1,
    waiters=12,
    warm_up=False,
)

TAKING_PART = {
    "a": (PLUGIN, NULL),
    "b": (PLUGIN, PLAIN, FLOOR),
    "c": (PLUGIN,),
    "d": (PLUGIN,),
    "e": (PLUGIN,),
    "f": (PLUGIN, NULL),
    "g": (PLUGIN, FLOOR),
}
"""The contenders of each row that a test has time for."""


# --- figures ---


def test_a_spread_is_the_median_between_the_least_and_the_greatest() -> None:
    assert Spread.of([3.0, 1.0, 10.0]).text("s", digits=1) == "3.0 s (1.0–10.0)"
    assert Spread.of([3.0]).text() == "3.00 (once)"


def test_a_ratio_is_taken_round_by_round() -> None:
    assert ratios([2.0, 30.0, 6.0], [1.0, 10.0, 2.0]) == Spread(3.0, 2.0, 3.0, 3)


def test_of_a_contender_with_fewer_rounds_the_first_ones_are_compared() -> None:
    assert ratios([8.0], [2.0, 100.0]) == Spread(4.0, 4.0, 4.0, 1)
    assert differences([8.0, 9.0], [2.0, 100.0, 3.0]) == Spread(-42.5, -91.0, 6.0, 2)


def test_the_end_of_a_span_is_not_in_it() -> None:
    assert most_within([3.0, 0.0, 1.0, 2.0, 2.5], 1.0) == 2
    assert most_within([0.0, 0.9, 1.0, 1.1], 1.0) == 3
    assert most_within([], 1.0) == 0


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1,234"), (123.4, "123"), (12.34, "12.3"), (0.01234, "0.0123")])
def test_a_cost_has_three_digits_that_count(value: float, text: str) -> None:
    assert rounded(value) == text


# --- the order, and what goes wrong ---


def test_the_contenders_take_turns_and_each_round_begins_with_another() -> None:
    assert "".join(turns([("a", 3), ("b", 3), ("c", 1)])) == "abcbaab"


def test_the_time_left_goes_by_the_pace_so_far() -> None:
    now = [0.0]
    progress = Progress(10.0, lambda: now[0])
    assert progress.seconds_left == 10.0
    now[0] = 6.0
    progress.done(2.0)
    assert progress.seconds_left == 24.0
    assert str(progress) == "[ 0.1 min, about 0 min left]"


@pytest.fixture
def idle_bench(tmp_path: Path) -> Bench:
    """A bench that has started nothing."""
    leash: Any = None
    return Bench(TINY, tmp_path, leash)


def test_what_fails_is_left_out_from_then_on_and_the_others_go_on(
    idle_bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    carried_out = []

    def fails() -> str:
        carried_out.append("fails")
        raise BenchError("it broke\nits own words")

    def works() -> str:
        carried_out.append("works")
        return "well"

    attempts = [Attempt(name, f"try of {name}", 1.0, run) for name, run in (("x", fails), ("y", works))] * 2
    idle_bench.carry_out("a", attempts)

    assert carried_out == ["fails", "works", "works"]
    (failure,) = idle_bench.failures
    assert (failure.row, failure.what, failure.why) == ("a", "try of x", "it broke")
    told = capsys.readouterr()
    assert "a try of x: FAILED: it broke" in told.out
    assert told.err == "its own words\n"


def test_a_defect_in_one_attempt_costs_no_other_and_is_recorded_without_its_words(
    idle_bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks() -> str:
        raise OSError("no space left in /home/somebody")

    idle_bench.carry_out("a", [Attempt("x", "x", 1.0, breaks), Attempt("y", "y", 1.0, lambda: "well")])
    assert [failure.why for failure in idle_bench.failures] == ["OSError"]
    told = capsys.readouterr()
    assert "a y: well" in told.out
    assert "no space left in /home/somebody" in told.err


def fake_row(letter: str, run: Callable[[dict[str, Any]], str]) -> Row:
    return Row(
        letter,
        "title",
        "about",
        (),
        lambda _bench, into: [Attempt("one", "one", 1.0, lambda: run(into))],
        lambda _measured: [Finding("what", "", "figure")],
        lambda _measured: "",
    )


def test_what_is_measured_is_on_disk_before_the_next_row_begins(
    idle_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measures(into: dict[str, Any]) -> str:
        into["seconds"] = [1.5, 2.0]
        return ""

    def is_interrupted(_into: dict[str, Any]) -> str:
        raise KeyboardInterrupt

    monkeypatch.setitem(ROWS, "a", fake_row("a", measures))
    monkeypatch.setitem(ROWS, "b", fake_row("b", is_interrupted))
    with pytest.raises(KeyboardInterrupt):
        bench.measured(idle_bench, ["a", "b"], record.document({}, {}), tmp_path / "out")

    found = record.read(tmp_path / "out" / record.FILE)
    assert found["rows"].keys() == {"a"}
    assert found["rows"]["a"]["measured"] == {"seconds": [1.5, 2.0]}


def test_rows_that_do_not_exist_are_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--rows", "a,z"])
    assert "there is no z; there are a, b, c, d, e, f, g" in capsys.readouterr().err


def test_the_options_change_the_scale() -> None:
    def scale(*arguments: str) -> Scale:
        return bench.scale_of(bench.parser().parse_args(arguments))

    assert scale() == Scale()
    assert scale("--quick") == QUICK
    assert scale("--quick", "--rounds=7", "--many-rounds=2") == replace(QUICK, rounds=7, many_rounds=2)
    assert scale("--n=300") == replace(Scale(), resources=(300,), growth_resources=(10, 100))


# --- the cloud and the contenders ---


def test_the_cloud_counts_what_it_did_and_a_retry_takes_its_time() -> None:
    with Cloud(0.2) as cloud:

        def post(call: str, body: Any) -> Any:
            return requests.post(f"{cloud.url}/v3/{PROJECT}/jobs/{call}", json=body, timeout=10).json()["results"]

        def state() -> str:
            return str(post("batch-status", {"jobs": [job(1)]})[0]["status"])

        assert state() == "FULL_TRANSFER_FAILED"
        post("batch-retry-task", {"jobs": [{"job_id": job(1)}, {"job_id": job(2)}]})
        assert state() == "STARTJOBING"
        deadline = time.monotonic() + 10
        while state() == "STARTJOBING":
            assert time.monotonic() < deadline
        assert state() == "FULL_TRANSFER_STARTED"
        assert cloud.fired == {job(1): 1, job(2): 1}
        assert cloud.counted()[FIRE] == 1
        assert cloud.counted()[LOOK] >= 4
        assert requests.get(f"{cloud.url}/v3", timeout=10).status_code == 404


def test_an_answer_takes_as_long_as_the_cloud_is_told() -> None:
    with Cloud(latency=0.3) as cloud:
        began = time.monotonic()
        requests.post(f"{cloud.url}/v3/{PROJECT}/jobs/batch-status", json={"jobs": []}, timeout=10)
        assert time.monotonic() - began >= 0.3


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_script_for_pulumi_command_fires_once_and_waits_until_the_job_is_well() -> None:
    script = (ROOT / "tools/benchmark/curl_retry.sh").read_text(encoding="utf-8")
    with Cloud(0.2) as cloud:
        environment = {"PATH": os.environ["PATH"], "CLOUD": f"{cloud.url}/v3/{PROJECT}", "JOB": job(3)}
        subprocess.run(["/bin/sh", "-c", script], env=environment, check=True, timeout=30)
        assert cloud.fired == {job(3): 1}
        assert cloud.counted()[LOOK] >= 2


def test_a_benchmark_that_is_killed_leaves_no_process_and_no_folder() -> None:
    program = f"""
import subprocess, sys
sys.path.insert(0, {str(ROOT / "tools")!r})
from benchmark.bench import QUICK, Bench
with Bench.opened(QUICK) as bench, bench.leash.started(["sleep", "300"], env={{"PATH": "/bin:/usr/bin"}}) as sleeper:
    print(sleeper.pid, bench.folder, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        pid, folder = killed.stdout.readline().split()
        assert psutil.pid_exists(int(pid))
        assert Path(folder).is_dir()
        killed.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while Path(folder).exists() or _lives(int(pid)):
        assert time.monotonic() < deadline, (pid, folder)
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# --- each row, small ---


@pytest.fixture(scope="module")
def tiny_bench() -> Iterator[Bench]:
    with Bench.opened(TINY) as opened:
        yield opened


@pytest.mark.engine
@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.letter)
def test_a_row_measures_all_that_it_tells(row: Row, tiny_bench: Bench) -> None:
    tiny_bench.failures.clear()
    tiny_bench.scale = replace(TINY, growth_targets=(20,)) if row.letter == "g" else TINY
    tiny_bench.only = [one.name for one in TAKING_PART[row.letter]]
    measured: dict[str, Any] = {}
    tiny_bench.carry_out(row.letter, row.plan(tiny_bench, measured))

    assert tiny_bench.failures == []
    measured = json.loads(json.dumps(measured))
    findings = row.findings(measured)
    assert findings
    assert "not measured" not in [finding.figure for finding in findings]
    assert "| ---" in row.details(measured)


def test_what_row_a_has_measured_is_not_measured_again_as_n_grows(idle_bench: Bench) -> None:
    idle_bench.scale = replace(TINY, growth_targets=(), growth_resources=(300,))
    idle_bench.only = ["plugin"]
    idle_bench.known["plugin", 300] = {"create": [9.0, 10.0], "change": [11.0], "no-op": [3.0, 4.0]}
    measured: dict[str, Any] = {}
    idle_bench.carry_out("g", ROWS["g"].plan(idle_bench, measured))
    assert idle_bench.failures == []
    assert measured["lines"] == {"plugin": {"300": {"create": [9.0, 10.0], "no-op": [3.0, 4.0]}}}


@pytest.mark.engine
def test_the_null_plugin_records_outputs_like_ours_and_calls_no_cloud(tiny_bench: Bench) -> None:
    inputs = {"jobs": [{"jobId": job(number)} for number in range(12)], "triggers": {"release": "one"}}
    changed = {**inputs, "triggers": {"release": "two"}}
    outputs, differs = {}, {}
    for contender in (PLUGIN, NULL):
        with Cloud() as cloud, tiny_bench.plugin(contender) as plugin:
            plugin.configure(configuration(cloud.url))
            created = plugin.create("it", inputs)
            differs[contender.name] = (plugin.diff("it", created, inputs), plugin.diff("it", created, changed))
            outputs[contender.name] = plugin.update("it", created, changed)
            assert bool(cloud.calls) == contender.fires

    assert differs["null"] == differs["plugin"] == (False, True)
    assert outputs["null"].keys() == outputs["plugin"].keys()
    sizes = [len(json.dumps(found)) for found in outputs.values()]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


@pytest.mark.engine
@pytest.mark.skipif(
    not Path(sys.executable).with_name("py-spy").exists() or os.geteuid() != 0, reason="needs py-spy, and root for it"
)
def test_a_profile_shows_where_the_time_of_each_step_goes(
    tiny_bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile(tiny_bench, 8, tmp_path / "profile")
    told = capsys.readouterr().out
    assert re.search(r"cloudretry, no-op of 8: \d+\.\d\d ms of processor time each", told)
    assert {file.name for file in (tmp_path / "profile").iterdir()} == {
        f"{step}.speedscope.json" for step in ("create", "change", "no-op")
    }
    assert sum(read_profile(file).samples for file in (tmp_path / "profile").iterdir()) > 0


def test_samples_are_counted_for_the_function_and_for_all_above_it(tmp_path: Path) -> None:
    frames = [{"name": name, "file": f"/x/lib/site-packages/pydantic/{name}.py", "line": 1} for name in "ab"]
    document = {"shared": {"frames": frames}, "profiles": [{"samples": [[0], [0, 1], [0, 1], []]}]}
    (tmp_path / "it.json").write_text(json.dumps(document), encoding="utf-8")
    found = read_profile(tmp_path / "it.json")
    a, b = "a (pydantic/a.py:1)", "b (pydantic/b.py:1)"
    assert (found.samples, found.inside, found.under) == (3, {a: 1, b: 2}, {a: 3, b: 2})


# --- the record ---


@pytest.fixture
def found() -> dict[str, Any]:
    return record.read(RECORDED / record.FILE)


@pytest.fixture
def whole(found: dict[str, Any]) -> dict[str, Any]:
    """The record as if it were of a whole run."""
    for letter, row in found["rows"].items():
        row["scale"] = record.scale_as_json(Scale(), letter)
    return found


def test_what_is_written_is_read_back_with_a_line_for_each_contender(found: dict[str, Any], tmp_path: Path) -> None:
    record.write(found, tmp_path)
    assert record.read(tmp_path / record.FILE) == found
    assert '"growth_targets": [2, 20],\n' in (tmp_path / record.FILE).read_text(encoding="utf-8")


def test_a_row_takes_the_place_of_the_old_one_and_of_its_failures(found: dict[str, Any]) -> None:
    found["failures"] = [{"row": letter, "what": "it", "why": "broke"} for letter in "ab"]
    merged = record.with_row(found, "b", {"measured": "anew"}, [])
    assert list(merged["rows"]) == list(ROWS)
    assert merged["rows"]["b"] == {"measured": "anew"}
    assert merged["rows"]["c"] == found["rows"]["c"]
    assert [failure["row"] for failure in merged["failures"]] == ["a"]


def test_another_number_of_resources_is_put_beside_those_that_were_measured(found: dict[str, Any]) -> None:
    row = found["rows"]["a"]
    new = {**row, "scale": {**row["scale"], "resources": [1000]}, "measured": {"1000": "measured"}}
    merged = record.with_row(found, "a", new, [])["rows"]["a"]
    assert list(merged["measured"]) == ["3", "1000"]
    assert merged["measured"]["3"] == row["measured"]["3"]
    assert merged["scale"]["resources"] == [3, 1000]


def test_rows_of_two_machines_are_not_put_together(found: dict[str, Any]) -> None:
    machine = {**found["machine"], "cores": 64, "python": "3.14.0"}
    with pytest.raises(BenchError, match=r"measured elsewhere \(cores, python differ\)"):
        record.read(RECORDED / record.FILE, machine)
    assert record.read(RECORDED / record.FILE, found["machine"]) == found


def test_only_all_rows_at_full_scale_are_a_whole_run(whole: dict[str, Any]) -> None:
    assert record.is_whole(whole)
    whole["rows"]["a"]["scale"]["many_rounds"] = 7
    assert record.is_whole(whole)
    whole["rows"]["g"]["scale"]["growth_rounds"] = 1
    assert not record.is_whole(whole)
    del whole["rows"]["g"]
    assert not record.is_whole(whole)


# --- the page ---


def test_the_page_tells_every_finding_with_its_target_and_verdict(whole: dict[str, Any]) -> None:
    text = report.page(whole)
    for letter, row in ROWS.items():
        assert f"\n## {letter}: {row.title}\n" in text
        for finding in row.findings(whole["rows"][letter]["measured"]):
            assert f"| {letter} | {finding.what} | {finding.target} | {finding.figure} |" in text
    assert "This is no whole run" not in text
    assert "The machine was busy" not in text


def test_a_target_is_missed_as_soon_as_the_figure_is_over_it(whole: dict[str, Any]) -> None:
    wall = whole["rows"]["a"]["measured"]["3"]["create"]["wall"]
    wall |= {"plugin": [11.0, 11.0, 50.0], "null": [10.0, 10.0, 10.0]}
    assert "| ≤ 1.10 × null plugin | 1.10 (1.10–5.00) × null plugin | met |" in report.page(whole)
    wall["plugin"] = [11.1, 11.1, 1.0]
    text = report.page(whole)
    assert "| 1.11 (0.10–1.11) × null plugin | **missed** |" in text
    assert "\n- a, create of 3 resources: 1.11 (0.10–1.11) × null plugin, where the target is ≤ 1.10 ×" in text


def test_a_run_that_is_not_whole_says_so_first(found: dict[str, Any]) -> None:
    del found["rows"]["d"]
    text = " ".join(report.page(found).partition("## At a glance")[0].split())
    assert "**This is no whole run:** rows a, b, c, e, f, g were measured with fewer and smaller runs" in text
    assert "rows d were not measured." in text


def test_a_busy_machine_is_told(whole: dict[str, Any]) -> None:
    whole["rows"]["b"]["in_use"] = 1.7
    text = " ".join(report.page(whole).partition("## At a glance")[0].split())
    assert "**The machine was busy with other work** before some rows" in text
    assert "b 1.7)" in text


def test_what_others_do_meanwhile_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LOOK", 0.5)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            assert machine.in_use() > 0.3
        finally:
            other.kill()


def test_what_failed_and_who_took_no_part_is_told(whole: dict[str, Any]) -> None:
    whole["failures"] = [{"row": "b", "what": "3 waits", "why": "`pulumi up` failed"}]
    whole["rows"]["b"]["measured"]["wall"].pop("plugin")
    text = report.page(whole)
    assert "- b, 3 waits was not measured: `pulumi up` failed\n" in text
    assert "| ≤ floor + 1.5 s | not measured |" in text
    assert "pulumi-command + curl took no part: there was no `pulumi-resource-command` on the PATH." in text


@pytest.mark.parametrize("letter", list(ROWS))
def test_a_row_of_which_nothing_could_be_measured_is_told_all_the_same(letter: str, idle_bench: Bench) -> None:
    measured: dict[str, Any] = {}
    idle_bench.only = []
    ROWS[letter].plan(idle_bench, measured)
    ROWS[letter].details(measured)
    assert {finding.met for finding in ROWS[letter].findings(measured)} <= {None}


def test_neither_record_nor_page_names_the_machine(found: dict[str, Any]) -> None:
    text = json.dumps(found) + report.page(found)
    assert socket.gethostname() not in text
    assert not re.search(r"(?<![\w.])/(root|work|home|tmp)/", text)


def test_the_lines_of_the_page_are_short_but_for_tables(whole: dict[str, Any]) -> None:
    lines = [line for line in report.page(whole).splitlines() if not line.startswith(("|", "- "))]
    assert [line for line in lines if len(line) > 120] == []


# --- charts ---


def test_the_charts_are_the_same_for_the_same_measurements_and_need_no_fonts(
    found: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="`make bench` installs it")
    first, second = (draw(found, tmp_path / name) for name in ("first", "second"))
    assert [file.name for file in first] == list(CHARTS)
    for one, other in zip(first, second, strict=True):
        text = one.read_text(encoding="utf-8")
        assert text == other.read_text(encoding="utf-8")
        assert "<text" not in text
        assert "fill: #ffffff" not in text


# --- what is in docs/ ---


def test_the_page_and_the_charts_in_docs_belong_to_the_record_there() -> None:
    docs = ROOT / "docs"
    there = record.read(docs / record.FILE)
    assert (docs / report.PAGE).read_text(encoding="utf-8") == report.page(there), 'run `make bench BENCH="--page"`'
    for name, (letter, _, _) in CHARTS.items():
        if letter in there["rows"]:
            mark = MARK + record.fingerprint(there["rows"][letter])
            assert mark in (docs / report.IMAGES / name).read_text(encoding="utf-8")
