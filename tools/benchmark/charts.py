"""The charts beside the page, as SVG: the same bytes for the same measurements, to be read on light and on dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.bench import BenchError
from benchmark.contenders import CONTENDERS
from benchmark.figures import Spread, ratios
from benchmark.record import fingerprint
from benchmark.rows.growth import LINES, STEPS, for_each
from benchmark.rows.resources import STEPS as RESOURCE_STEPS
from benchmark.rows.resources import TARGET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CHARTS", "MARK", "draw"]

MARK = "drawn from measurements "
"""What stands before the fingerprint in a chart."""

INK = "#7f8790"
"""Of texts and lines: readable on white and on black."""

_COLOURS = {
    "plugin": "#2f81f7",
    "unwaited": "#79b8ff",
    "dynamic": "#a371f7",
    "null": "#9aa1a9",
    "plain": "#e5734b",
    "command": "#c69026",
    "floor": "#57ab5a",
    "batch": "#e0559b",
}


def draw(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw the charts of all rows that have one.

    :raises BenchError: there is no matplotlib.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise BenchError("the charts need matplotlib, which `make bench` installs") from None
    settings: Any = {
        "svg.hashsalt": "cloudretry",
        "svg.fonttype": "path",
        "font.size": 9,
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
    drawn = []
    folder.mkdir(parents=True, exist_ok=True)
    for name, (letter, _, fill) in CHARTS.items():
        if letter in found["rows"]:
            with mpl.rc_context(settings):
                figure = Figure(layout="constrained")
                fill(figure, found["rows"][letter]["measured"])
                marks = {"Date": None, "Creator": None, "Description": MARK + fingerprint(found["rows"][letter])}
                figure.savefig(folder / name, format="svg", transparent=True, metadata=marks)
            drawn.append(folder / name)
    return drawn


def _resources(figure: Figure, measured: Mapping[str, Any]) -> None:
    sizes = list(measured)
    figure.set_size_inches(9, 3.1 * len(sizes))
    for axes, size in zip(_panels(figure, len(sizes), 1), sizes, strict=True):
        by_step = measured[size]
        walls = {step: by_step.get(step, {}).get("wall", {}) for step, _, _ in RESOURCE_STEPS}
        names = [
            name
            for name in CONTENDERS
            if name != "floor" and any(name in wall and "floor" in wall for wall in walls.values())
        ]
        width = 0.8 / max(len(names), 1)
        for place, name in enumerate(names):
            for at, wall in enumerate(walls.values()):
                if name in wall and "floor" in wall:
                    spread = ratios(wall[name], wall["floor"])
                    x = at + (place - (len(names) - 1) / 2) * width
                    label = _plain(CONTENDERS[name].title) if at == 0 else None
                    axes.bar(x, spread.median, width * 0.9, color=_COLOURS[name], label=label)
                    axes.errorbar(x, spread.median, _whiskers(spread), color=INK, capsize=2, linewidth=1)
                    axes.annotate(
                        f"{spread.median:.1f}",
                        (x, spread.greatest),
                        (0, 2),
                        textcoords="offset points",
                        ha="center",
                        fontsize=8,
                    )
        for at, wall in enumerate(walls.values()):
            if "null" in wall and "floor" in wall:
                goal = TARGET * ratios(wall["null"], wall["floor"]).median
                axes.hlines(goal, at - 0.45, at + 0.45, color=INK, linestyle="dotted", linewidth=1.2)
        axes.set_xticks(range(len(walls)), [*walls])
        axes.margins(y=0.12)
        axes.set_title(f"{size} resources, one target each", color=INK)
        axes.set_ylabel("times the floor")
        axes.axhline(1, color=INK, linewidth=0.8)
    figure.legend(*_legend(figure), loc="outside lower center", ncols=3, labelcolor=INK)
    figure.suptitle(f"Whole pulumi up, ÷ as many components; dotted: {TARGET:.2f} × null plugin", fontsize=10)


def _growth(figure: Figure, measured: Mapping[str, Any]) -> None:
    from matplotlib.ticker import NullFormatter

    figure.set_size_inches(9, 4)
    for axes, (step, _) in zip(_panels(figure, 1, len(STEPS)), STEPS, strict=True):
        for line, title in LINES.items():
            cost = {size: spread for size, spread in for_each(measured, line, step).items() if spread.median > 0}
            if cost:
                middle = [spread.median for spread in cost.values()]
                low = [max(spread.median - spread.least, 0.0) for spread in cost.values()]
                low = [min(part, 0.9 * of) for part, of in zip(low, middle, strict=True)]
                high = [spread.greatest - spread.median for spread in cost.values()]
                axes.errorbar(list(cost), middle, (low, high), color=_COLOURS[line], marker="o", capsize=2, label=title)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _place: f"{value:,g}")
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("N")
        axes.set_ylabel("milliseconds for each")
        axes.set_title(step, color=INK)
        axes.grid(visible=True, color=INK, alpha=0.25, linewidth=0.6)
    figure.legend(*_legend(figure), loc="outside lower center", ncols=2, labelcolor=INK)
    figure.suptitle("What one more costs as N grows: pulumi up, less that of an empty program", fontsize=10)


def _panels(figure: Figure, rows: int, columns: int) -> Iterator[Axes]:
    for axes in figure.subplots(rows, columns, squeeze=False, sharey=rows == 1).flat:
        axes.set_facecolor("none")
        yield axes


def _legend(figure: Figure) -> tuple[list[Any], list[str]]:
    """The marks and names of all panels, each name once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for mark, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, mark)
    return list(found.values()), list(found)


def _whiskers(spread: Spread) -> list[list[float]]:
    return [[spread.median - spread.least], [spread.greatest - spread.median]]


def _plain(title: str) -> str:
    return title.replace("`", "")


CHARTS: Mapping[str, tuple[str, str, Callable[[Figure, Mapping[str, Any]], None]]] = {
    "benchmark-resources.svg": ("a", "Times the floor, by step and contender", _resources),
    "benchmark-growth.svg": ("g", "Milliseconds for each target as N grows", _growth),
}
"""The row that a chart shows, what it says in words, and what draws it, by file."""
