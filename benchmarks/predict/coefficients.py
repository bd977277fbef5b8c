"""The fitted coefficients that ship with the package, and the devices they stand for.

`coefficients.json` is the project's own: rates, errors and ranges, none of the published times.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pocketdet.errors import UsageError

SCHEMA_VERSION: Final = 1
SHIPPED = Path(__file__).with_name("coefficients.json")

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Cores = Literal["all", "big", "little"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FitRecord(_Record):
    """One device at one precision.

    rates: nanoseconds per multiply-accumulate or value moved, by class. models: how many were fitted.
    median_error, p90_error: of the absolute relative errors of models left out of the fit. ratio_low,
    ratio_high: predicted / published lies between them for four models of five.
    """

    rates: dict[str, Amount]
    models: int
    median_error: Amount
    p90_error: Amount
    ratio_low: Positive
    ratio_high: Positive


class Range(_Record):
    """What the fitted models span: million MACs of one run, and the largest share of each class in them.
    Values moved are per MAC; `odd_channels` is the share of MACs in layers that fill no SIMD lanes.
    """

    macs: tuple[Positive, Positive]
    largest_shares: dict[str, Amount]


class DeviceModel(_Record):
    """A device as it was run: `threads` of ncnn on these cores; `published_as` is the runs' headline."""

    name: str
    published_as: str
    threads: int
    cores: Cores
    fits: dict[str, FitRecord]


class DeviceModels(_Record):
    """The file. `classes` are the layer classes by precision, for a reader; `ranges` are per precision."""

    schema_version: Literal[1]
    source: str
    unit: str
    classes: dict[str, dict[str, tuple[str, ...]]]
    ranges: dict[str, Range]
    devices: tuple[DeviceModel, ...]

    def find(self, words: str, threads: int = 1) -> list[DeviceModel]:
        """Every device whose name has all these words, run with that many threads. Of the runs of one
        device the one on its big cores, or else on all; on its little ones if the words say "little".

        Raises UsageError that says what is near: names alike, or the numbers of threads there are.
        """
        wanted = tokens(words)
        named = [d for d in self.devices if wanted and wanted <= tokens(f"{d.name} {d.cores}")]
        if not named:
            names = list(dict.fromkeys(d.name for d in self.devices))
            raise UsageError(
                f"no published run is of a device {words!r}; {_near(words, names)}--list shows all"
            )
        found = [d for d in named if d.threads == threads]
        if not found:
            counts = sorted({d.threads for d in named})
            raise UsageError(
                f"{named[0].name}: no run with {threads} thread{'s' if threads > 1 else ''} is published; "
                f"pass --threads {' or '.join(map(str, counts))}"
            )
        return [d for d in found if "little" in wanted or not _outdone(d, found)]


def _outdone(device: DeviceModel, others: Sequence[DeviceModel]) -> bool:
    """Whether the same device has a run on better cores: big before all before little."""
    order = ("big", "all", "little")
    return any(o.name == device.name and order.index(o.cores) < order.index(device.cores) for o in others)


def tokens(text: str) -> set[str]:
    """Lower-case words of a device name; a plus sign belongs to its number, as in 855+."""
    return set(re.findall(r"[a-z0-9]+\+?", text.casefold()))


def _near(words: str, names: Sequence[str]) -> str:
    wanted = tokens(words)

    def likeness(name: str) -> float:
        have = sorted(tokens(name))
        near = [max((SequenceMatcher(None, w, h).ratio() for h in have), default=0.0) for w in wanted]
        return sum(near) / max(len(near), 1)

    best = sorted(names, key=likeness, reverse=True)[:3]
    close = [f"{name!r}" for name in best if likeness(name) > 0.6]
    return f"did you mean {' or '.join(close)}? " if close else ""


def load_models(path: Path = SHIPPED) -> DeviceModels:
    """Read a file of coefficients. Raises UsageError for a missing, damaged or other version of file."""
    try:
        return DeviceModels.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: the coefficients cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(
            f"{path}: expected coefficients of schema version {SCHEMA_VERSION}; {place}: {first['msg']}; "
            "make them anew with python -m pocketdet.benchmarks.predict.fit"
        ) from error
