"""What was modelled is read again as long as the bundle, the image and the programs are the same."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from pocketdet.armmodel import kept_totals
from pocketdet.armmodel.cores import CORES, Core
from pocketdet.armmodel.instrument import Emulator, Instrument, Llvm
from pocketdet.armmodel.modelled import Figures

BIG, LITTLE = CORES["cortex-a76"], CORES["cortex-a55"]


@pytest.fixture
def modelled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the name of each core that is modelled; every frame costs one cycle more than the last."""
    done: list[str] = []

    def model(subject: object, cores: list[Core], instrument: Instrument) -> Iterator[SimpleNamespace]:
        for core in cores:
            done.append(core.name)
            yield SimpleNamespace(core=core, total=Figures(len(done) + 0.5, 2, 3, 4.5, 5))

    monkeypatch.setattr(kept_totals, "model", model)
    return done


@pytest.fixture
def instrument(tmp_path: Path) -> Instrument:
    files = {name: tmp_path / name for name in ("qemu", "plugin", "network", "runner")}
    for name, path in files.items():
        path.write_text(name)
    llvm = Llvm("19.1.7", *[tmp_path / "llvm"] * 3)
    return Instrument(llvm, Emulator(files["qemu"], files["plugin"], files["network"]), files["runner"])


def test_a_total_is_kept(
    tmp_path: Path, modelled: list[str], instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(bundle: Path) -> nullcontext[SimpleNamespace]:
        return nullcontext(SimpleNamespace(digest=bundle.read_text()))

    monkeypatch.setattr(kept_totals, "load_bundle", load)
    path, frame = tmp_path / "net.pocketdet", tmp_path / "frame.png"
    path.write_text("a bundle")
    frame.write_text("an image")

    def totals(*cores: Core, arithmetic: str = "fp16") -> list[Figures]:
        return kept_totals.frame_totals(path, frame, arithmetic, cores, instrument)

    first = totals(BIG)
    assert first == [Figures(1.5, 2, 3, 4.5, 5)]
    assert totals(BIG, LITTLE) == [*first, Figures(2.5, 2, 3, 4.5, 5)]
    assert totals(LITTLE, BIG)[1:] == first
    assert modelled == ["cortex-a76", "cortex-a55"]
    assert totals(BIG, arithmetic="fp32") == [Figures(3.5, 2, 3, 4.5, 5)]
    assert totals(BIG) == first
    for changed in (path, instrument.runner, instrument.emulator.plugin, frame):
        changed.write_text("other content")
        before = len(modelled)
        assert totals(BIG) != first
        assert len(modelled) == before + 1
    path.with_suffix(".fp16.json").write_text("damaged")
    totals(BIG)
    assert len(modelled) == 8
