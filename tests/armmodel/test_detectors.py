"""Bundles of detectors to model are kept, those of trained weights as long as the weights are the same."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pocketdet.armmodel import detectors
from pocketdet.export import ExportOptions


def test_other_weights_have_another_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, made = tmp_path / "net-fod.safetensors", []

    def export(model: object, out: Path, options: ExportOptions) -> SimpleNamespace:
        made.append(options.name)
        path = out / f"{options.name}.pocketdet"
        path.mkdir(parents=True)
        return SimpleNamespace(path=path)

    monkeypatch.setattr(detectors, "zoo_names", lambda: ("net-fod",))
    monkeypatch.setattr(detectors, "zoo_weights", lambda name: weights)
    monkeypatch.setattr(detectors, "load_detector", lambda path, input_size: None)
    monkeypatch.setattr(detectors, "export_detector", export)
    bundles = tmp_path / "bundles"
    weights.write_text("first")
    first = detectors.make_bundle("net-fod", bundles)
    assert detectors.make_bundle("net-fod", bundles) == first
    assert detectors.make_bundle("net-fod", bundles, int8=True) != first
    weights.write_text("second")
    assert detectors.make_bundle("net-fod", bundles) != first
    random = detectors.make_bundle("thundernet-snet49", bundles, size=(96, 96), target=None)
    assert random == bundles / "thundernet-snet49-96x96-plain.pocketdet"
    assert made == [
        "net-fod-320x320",
        "net-fod-320x320-int8",
        "net-fod-320x320",
        "thundernet-snet49-96x96-plain",
    ]
