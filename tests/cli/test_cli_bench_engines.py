"""`pocketdet bench-engines` on a small bundle."""

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Ending, command

from pocketdet.benchmarks.engines import OpenVinoEngine
from pocketdet.export.passes import channel_alignment
from pocketdet.export.passes.channel_alignment.cost import AlignmentTarget, CostRates
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.native_build import library_path

__all__ = ["command"]

Command = Callable[..., Ending]


def test_two_bundles_with_record_and_plot(
    command: Command, plain_bundle: Path, small_bundle: Path, tmp_path: Path
) -> None:
    record, plot = tmp_path / "r.json", tmp_path / "r.png"
    options = ("--rounds", 2, "--json", record, "--plot", plot, "--target", "avx2")
    ending = command("bench-engines", plain_bundle, small_bundle, *options)
    assert ending.code == 0, ending.err
    assert "small: 1 thread, fp32, 2 rounds of 6 frames in turn, standard1-0 (" in ending.out
    assert f"wrote {record}" in ending.out
    found = json.loads(record.read_text(encoding="utf-8"))
    assert found["ok"]
    for bundle, path in zip(found["bundles"], (plain_bundle, small_bundle), strict=True):
        with load_bundle(path) as loaded:
            assert bundle["manifest_sha256"] == loaded.digest
        entrants = ["plain ncnn", "aligned ncnn", "onnxruntime", "openvino"]
        assert [e["name"] for e in bundle["parts"][0]["entrants"]] == entrants
        whole = [e["name"] for e in bundle["parts"][-1]["entrants"]]
        if library_path().is_file():
            assert whole == [*entrants[:2], "native", *entrants[2:]]
            assert bundle["left_out"] == {}
        else:
            assert (whole, bundle["left_out"]) == (entrants, {"native": "not built: make native"})
        assert bundle["failed"] == {}
    first, second = (bundle["entrants"]["aligned ncnn"] for bundle in found["bundles"])
    assert first.startswith("aligned here for avx2: ")
    assert second == "the bundle's own graphs, 8 lanes, neon-fp16"
    # multiply-accumulates are those of the graph without padding
    assert [p["macs"] for p in found["bundles"][0]["parts"]] == [
        p["macs"] for p in found["bundles"][1]["parts"]
    ]
    assert plot.stat().st_size > 10_000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.json", "r.png"]


def test_missing_engines_are_named(
    command: Command, plain_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "openvino" else find(n, *a))
    same = dict.fromkeys((1, 4, 8, 16), 1.0)
    both = dict.fromkeys(same, same)
    rates = CostRates(same, same, same, same, both, both, move=1, move_mixed=1, pointwise=1)
    target = AlignmentTarget("neon-fp32", 4, rates, "where packing makes no difference")
    monkeypatch.setattr(channel_alignment, "alignment_target", lambda name: target)
    ending = command("bench-engines", plain_bundle, "--rounds", 1, "--target", target.name)
    assert ending.code == 0, ending.err
    assert "left out: openvino, not installed: pip install 'pocketdet[bench]'" in ending.out
    assert "left out: aligned ncnn, it is plain ncnn: nothing to gain with 4 SIMD lanes" in ending.out


def test_an_engine_that_disagrees_fails_the_command(
    command: Command, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_run = OpenVinoEngine.run

    def run(self: OpenVinoEngine, graph: Any, inputs: Any) -> dict[str, Any]:
        return {role: 1.01 * value for role, value in true_run(self, graph, inputs).items()}

    monkeypatch.setattr(OpenVinoEngine, "run", run)
    ending = command("bench-engines", small_bundle, "--rounds", 1)
    assert ending.code == 1
    assert "openvino does not agree with plain ncnn and was not timed:" in ending.out
    assert "-[x] features.sam" in ending.out


def test_a_slim_bundle_is_refused(command: Command, tiny_bundle_template: Path) -> None:
    ending = command("bench-engines", tiny_bundle_template)
    assert (ending.code, ending.out) == (2, "")
    assert "the bundle has no ONNX files" in ending.err
    assert "export it without --slim" in ending.err


def test_ctrl_c_leaves_nothing_behind(
    command: Command, small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("pocketdet.benchmarks.interleaved._burst", interrupted)
    ending = command("bench-engines", small_bundle, "--rounds", 1, "--json", tmp_path / "r.json")
    assert (ending.code, ending.out) == (130, "")
    assert ending.err.endswith("error: interrupted\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rounds", 0), "0 rounds: expected 1 or more"),
        (("--rois", 0), "rois=0"),
        (("--image", "absent.png"), "absent.png"),
        (("--json", "absent/r.json"), "there is no folder absent"),
        (("--plot", "r.svg"), "r.svg: expected a name that ends in .png or .jpg"),
        (("--plot", "r.png", *["more"] * 4), "at most 4 bundles side by side, found 5"),
    ],
)
def test_bad_input_gives_one_sentence(
    command: Command,
    small_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: Any,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    ending = command("bench-engines", small_bundle, *options)
    assert (ending.code, ending.out) == (2, "")
    assert words in ending.err
    assert not list(tmp_path.iterdir())


def test_a_damaged_reference_is_refused(
    command: Command, small_bundle: Path, tmp_path: Path, rehash: Callable[[Path], None]
) -> None:
    copy = Path(shutil.copytree(small_bundle, tmp_path / "damaged.pocketdet"))
    (copy / "reference" / "features.onnx").write_bytes(b"not a model")
    rehash(copy)
    ending = command("bench-engines", copy)
    assert (ending.code, ending.out) == (2, "")
    assert "pnnx failed on features.onnx" in ending.err
