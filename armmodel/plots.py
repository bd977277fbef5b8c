"""Plots of modelled cycles."""

from collections.abc import Sequence
from pathlib import Path

from pocketdet.armmodel.devices import DEVICES
from pocketdet.armmodel.modelled import LayerFigures, Modelled
from pocketdet.armmodel.validation import Validation, errors_of
from pocketdet.evaluation.figures import (
    COLOURS,
    INK,
    MARKS,
    MUTED,
    RULE,
    WIDTH,
    drawn,
    plain_axes,
    shortened,
)

_LEFT, _RIGHT, _TOP, _BOTTOM, _ROW = 330, 60, 84, 56, 22  # pixels
_ROWS = 24


def plot_layers(path: Path, models: Sequence[Modelled]) -> None:
    """Draw the cycles of the most expensive layers and other stages, with the limit of the SIMD units.

    Args:
        path: The image file to write.
        models: One model, or several, one below the other.

    Raises:
        UsageError: If matplotlib is missing, or the file cannot be written.
    """
    rows = [_rows(model) for model in models]
    height = sum(_TOP + _BOTTOM + _ROW * len(r) for r in rows)
    with drawn(path, height) as figure:
        top = height
        for model, shown in zip(models, rows, strict=True):
            tall = _ROW * len(shown)
            figure.text(24 / WIDTH, (top - 34) / height, _title(model), size=12)
            figure.text(24 / WIDTH, (top - 56) / height, _LEGEND, size=9, color=MUTED)
            box = (
                _LEFT / WIDTH,
                (top - _TOP - tall) / height,
                (WIDTH - _LEFT - _RIGHT) / WIDTH,
                tall / height,
            )
            axes = figure.add_axes(box)
            values, limits = [r[1] / 1e6 for r in shown], [r[2] / 1e6 for r in shown]
            axes.barh(range(len(shown)), values, height=0.72, color=COLOURS[0])
            axes.barh(range(len(shown)), limits, height=0.3, color=COLOURS[4])
            for row, value in enumerate(values):
                share = 1e6 * value / model.total.cycles
                axes.text(value, row, f" {share:.1%}  {shown[row][3]}", va="center", color=INK, size=8)
            axes.set_yticks(range(len(shown)), [shortened(r[0], 56) for r in shown])
            axes.set_ylim(len(shown) - 0.5, -0.5)
            axes.set_xlim(0, 1.5 * max(values))  # room for the names of kernels
            axes.tick_params(axis="y", length=0, labelcolor=INK)
            axes.set_xlabel("million cycles, modelled")
            axes.grid(axis="x", color=RULE, linewidth=0.6)
            axes.set_axisbelow(True)
            for side in ("top", "right", "left"):
                axes.spines[side].set_visible(False)
            top -= _TOP + tall + _BOTTOM


def plot_validation(path: Path, validation: Validation) -> None:
    """Draw modelled against published milliseconds of all devices.

    Args:
        path: The image file to write.
        validation: What is known.

    Raises:
        UsageError: If matplotlib is missing, or the file cannot be written.
    """
    height = 800
    with drawn(path, height) as figure:
        figure.text(24 / WIDTH, 1 - 34 / height, "One thread: modelled against published", size=13)
        axes = figure.add_axes((0.07, 0.08, 0.52, 0.84))
        plain_axes(axes)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
        axes.set_xlabel("published milliseconds")
        axes.set_ylabel("modelled milliseconds")
        axes.axline((10, 10), (100, 100), color=INK, linewidth=0.8)
        for i, device in enumerate(DEVICES):
            ratios = validation.ratios.get(device.name)
            if not ratios:
                continue
            milliseconds = validation.milliseconds(device)
            modelled = [milliseconds[network] for network in ratios]
            times = [ms / ratio for ms, ratio in zip(modelled, ratios.values(), strict=True)]
            label = f"{device.name} ({device.core}): median error {errors_of(ratios)[0]:.1%}"
            colour, mark = COLOURS[i % len(COLOURS)], MARKS[(i + i // len(COLOURS)) % len(MARKS)]
            axes.plot(times, modelled, mark, color=colour, markersize=5, label=label, alpha=0.8)
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False)


_LEGEND = (
    "blue: modelled cycles; orange: the fewest that the multiply-accumulates take on the SIMD units; "
    "the name: the function that takes most of it"
)


def _title(model: Modelled) -> str:
    total = f"{model.total.cycles / 1e6:.1f} million cycles"
    return f"{model.subject} on {model.core.name}, {model.precision}: {total}, modelled, not measured"


def _rows(model: Modelled) -> list[tuple[str, float, float, str]]:
    """Label, cycles, limit and kernel of stages without a network, of layers, and of the rest together."""
    named = {layer.stage for layer in model.layers}
    rows = [(f"stage {s.name}", s.figures.cycles, 0.0, "") for s in model.stages if s.name not in named]
    rows += [
        (_label(layer), layer.figures.cycles, layer.figures.limit, shortened(layer.main_function, 40))
        for layer in model.layers
    ]
    rows.sort(key=lambda row: (-row[1], row[0]))
    rest = rows[_ROWS:]
    if rest:
        total = sum(row[1] for row in rest), sum(row[2] for row in rest)
        rows = [*rows[:_ROWS], (f"{len(rest)} others", *total, "")]
    return rows


def _label(layer: LayerFigures) -> str:
    return f"{shortened(layer.label, 36)} {'x'.join(map(str, layer.facts.output or ()))}"
