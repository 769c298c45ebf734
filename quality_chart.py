"""The chart of quality against training time that `evaluate.py` draws."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .errors import InputError
from .files import whole_file
from .runs import Run


def names(loaded: Sequence[Run]) -> list[str]:
    """Return what to call runs: the names of their folders, and where those are the same, all."""
    times = Counter(run.folder.name for run in loaded)
    return [run.folder.name if times[run.folder.name] == 1 else str(run.folder) for run in loaded]


def write(loaded: Sequence[Run], path: Path | None) -> None:
    """Write the chart of the runs that have bits per byte, if there are any."""
    drawn = [run for run in loaded if any(math.isfinite(bits) for _, bits in _course(run))]
    if not drawn:
        if path:
            raise InputError(
                f"--chart {path} would show bits per byte against time, and no run has any; leave "
                "it out."
            )
        return
    place = path or drawn[0].folder.parent / "quality.png"
    try:
        with whole_file(place) as scratch:
            draw(drawn).savefig(scratch, dpi=120, format="png")
    except OSError as error:  # such as beside runs that one may only read
        if path:
            raise
        print(f"There is no chart: {error.strerror}: {place}.")
        return
    print(f"Chart of quality against training time: {place}")


def _course(run: Run) -> list[tuple[float, float]]:
    """Return seconds and bits per byte of each validation."""
    with open(run.folder / "history.csv", newline="") as file:
        return [
            (float(row["seconds"]), float(row.get("val_bits_per_byte") or "nan"))
            for row in csv.DictReader(file)
        ]


def draw(loaded: Sequence[Run]) -> "Figure":  # noqa: F821
    """Draw bits per byte of validation text over the seconds of training of each run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for run, name in zip(loaded, names(loaded), strict=True):
        seconds, quality = zip(*_course(run), strict=True)
        axes.plot(seconds, quality, marker="o", markersize=3, label=name)
    axes.set(
        xlabel="training time in seconds", ylabel="bits per byte of validation text, in training"
    )
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    return figure
