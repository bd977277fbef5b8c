"""The fitted coefficients that ship with the package, and the devices that they describe.

`coefficients.json` has the project's own numbers: rates, errors and ranges, none of the published times.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pocketdet.errors import UsageError

SCHEMA_VERSION: Final = 1
_SIMILAR: Final = 0.75  # of two words, by difflib
SHIPPED = Path(__file__).with_name("coefficients.json")

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Cores = Literal["all", "big", "little"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FitRecord(_Record):
    """The fit of one device at one precision.

    Attributes:
        rates: Nanoseconds per multiply-accumulate or value moved, by class.
        models: Number of models that were fitted.
        median_error: Median of the absolute relative errors of models excluded from the fit.
        p90_error: The 90th percentile of these errors.
        ratio_low: Lower end of the band of predicted / published that contains four models of five.
        ratio_high: Upper end of that band.
    """

    rates: dict[str, Amount]
    models: int
    median_error: Amount
    p90_error: Amount
    ratio_low: Positive
    ratio_high: Positive


class Range(_Record):
    """What the fitted models span.

    Attributes:
        macs: Lowest and highest million MACs of one run.
        largest_shares: Highest share of MACs of each class; values moved are per MAC, `odd_channels` is the
            share of MACs in layers whose channels are no multiple of 4.
    """

    macs: tuple[Positive, Positive]
    largest_shares: dict[str, Amount]


class DeviceModel(_Record):
    """A device with `threads` threads of ncnn on these cores; `published_as` is the headline of the run."""

    name: str
    published_as: str
    threads: int
    cores: Cores
    fits: dict[str, FitRecord]


class DeviceModels(_Record):
    """The content of the file; `classes` and `ranges` are by precision."""

    schema_version: Literal[1]
    source: str
    unit: str
    classes: dict[str, dict[str, tuple[str, ...]]]
    ranges: dict[str, Range]
    devices: tuple[DeviceModel, ...]

    def find(self, query: str, threads: int = 1) -> list[DeviceModel]:
        """Find devices by the words of their names.

        Of several runs of one device, the one on its big cores is returned, or else the one on all cores;
        the one on its little cores if the query has the word "little".

        Returns:
            The devices, in the order of the file.

        Raises:
            UsageError: If there is none; the message has similar names, or the available numbers of threads.
        """
        wanted = tokens(query)
        named = [d for d in self.devices if wanted and wanted <= tokens(f"{d.name} {d.cores}")]
        if not named:
            names = list(dict.fromkeys(d.name for d in self.devices))
            raise UsageError(
                f"no published run is of a device {query!r}; {similar_names(query, names)}--list shows all"
            )
        runs = [d for d in named if d.threads == threads]
        if not runs:
            counts = sorted({d.threads for d in named})
            raise UsageError(
                f"{named[0].name}: no run with {threads} thread{'s' if threads > 1 else ''} is published; "
                f"pass --threads {' or '.join(map(str, counts))}"
            )
        return [d for d in runs if "little" in wanted or not _has_better_run(d, runs)]


def _has_better_run(device: DeviceModel, others: Sequence[DeviceModel]) -> bool:
    """Whether the same device has a run on better cores: big, then all, then little."""
    order = ("big", "all", "little")
    return any(o.name == device.name and order.index(o.cores) < order.index(device.cores) for o in others)


def tokens(text: str) -> set[str]:
    """Split a device name into lower-case words; a plus sign belongs to its number, as in 855+."""
    return set(re.findall(r"[a-z0-9]+\+?", text.casefold()))


def similar_names(query: str, names: Iterable[str]) -> str:
    """Ask whether a similar name is meant.

    Args:
        query: What was searched for.
        names: The names that there are.

    Returns:
        The beginning of a sentence with at most three names, in which every word of the query that has a
        letter is or has a similar one; empty if there is none.
    """
    wanted = tokens(query)
    words = {word for word in wanted if re.search("[a-z]", word)}

    def likeness(word: str, name: str) -> float:
        return max((SequenceMatcher(None, word, own).ratio() for own in sorted(tokens(name))), default=0.0)

    near = [name for name in names if words and all(likeness(word, name) > _SIMILAR for word in words)]
    near.sort(key=lambda name: sum(likeness(word, name) for word in wanted), reverse=True)
    close = " or ".join(repr(name) for name in near[:3])
    return f"did you mean {close}? " if close else ""


def load_models(path: Path = SHIPPED) -> DeviceModels:
    """Read a file of coefficients.

    Args:
        path: The file; by default the one that ships with the package.

    Raises:
        UsageError: If the file is missing or damaged, or has another schema version.
    """
    try:
        return DeviceModels.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: the coefficients cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(
            f"{path}: expected coefficients of schema version {SCHEMA_VERSION}; {place}: {first['msg']}; "
            "write them with python -m pocketdet.benchmarks.predict.fit"
        ) from error
