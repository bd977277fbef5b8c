"""A network and a bundle through qemu and LLVM, where `make arm-model` has built what they need."""

import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from pocketdet.armmodel.cores import CORES, Core
from pocketdet.armmodel.emulate import write_machine
from pocketdet.armmodel.instrument import Instrument, find_instrument
from pocketdet.armmodel.modelled import Modelled, model
from pocketdet.armmodel.subject import BundleSubject, NetworkSubject, Subject
from pocketdet.errors import EngineError, GraphError, UsageError
from pocketdet.runtime.bundle import load_bundle

pytestmark = pytest.mark.slow
NETWORK = """7767517
4 4
Input            in0   0 1 in0 0=32 1=32 2=16
Convolution      conv  1 1 in0 a 0=32 1=3 4=1 5=1 6=4608
ReLU             relu  1 1 a b
Pooling          pool  1 1 b out0 0=1 4=1
"""
A76 = CORES["cortex-a76"]


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    try:
        return find_instrument()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instrument: Instrument) -> NetworkSubject:
    monkeypatch.setattr("pocketdet.armmodel.modelled.cache_folder", lambda: tmp_path)
    path = tmp_path / "small.param"
    path.write_text(NETWORK)
    return NetworkSubject(path, None, "fp16", {})


def one(subject: Subject, core: Core, instrument: Instrument) -> Modelled:
    (modelled,) = model(subject, [core], instrument)
    return modelled


def test_two_runs_agree_exactly(network: NetworkSubject, instrument: Instrument, tmp_path: Path) -> None:
    first = one(network, A76, instrument)
    for store in tmp_path.glob("block-costs-*"):
        store.unlink()
    assert one(network, A76, instrument) == first


def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another working folder, another one for temporary files, another environment."""
    folder = tmp_path / "a folder whose name is longer"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("A_VARIABLE", "x" * 5000)


def test_the_host_does_not_matter(
    network: NetworkSubject, instrument: Instrument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = one(network, A76, instrument)
    elsewhere(tmp_path, monkeypatch)
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    try:
        assert one(network, A76, instrument) == first
    finally:
        os.sched_setaffinity(0, processors)


def test_a_bundle_repeats_exactly_in_any_folder(
    small_bundle: Path, instrument: Instrument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with load_bundle(small_bundle) as bundle:
        subject = BundleSubject(bundle, "fp16")
        first = one(subject, A76, instrument)
        elsewhere(tmp_path, monkeypatch)
        assert one(subject, A76, instrument) == first


def test_a_program_sees_nothing_of_this_machine(
    small_bundle: Path, instrument: Instrument, tmp_path: Path
) -> None:
    qemu, calls = tmp_path / "qemu", tmp_path / "calls"
    qemu.write_text(f'#!/bin/sh\nexec {instrument.emulator.qemu} -strace -D {calls} "$@"\n')
    qemu.chmod(0o755)
    traced = replace(instrument, emulator=replace(instrument.emulator, qemu=qemu))
    with load_bundle(small_bundle) as bundle:
        BundleSubject(bundle, "fp16").run(traced, A76, lambda: None)
    text = calls.read_text(errors="replace")
    assert "clock_gettime(" in text
    assert not re.findall(r"\b(?:sched_getaffinity|uname|sysinfo|getrusage|getcwd|statfs)\(", text)
    opened = set(re.findall(r'openat\(AT_FDCWD,"(/[^"]*)"', text))
    assert "/proc/cpuinfo" in opened
    write_machine(A76, tmp_path / "root")
    # the first is qemu's, and no machine has eleven caches of a core, where ncnn ends to look
    own = {"/proc/self/auxv", "/sys/devices/system/cpu/cpu0/cache/index10/level"}
    assert {path for path in opened if not (tmp_path / "root" / path[1:]).exists()} <= own


def test_an_older_runner_is_named(
    small_bundle: Path, instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketdet.armmodel.subject.FRAMES_ONLY", "--frames-only-of-tomorrow")
    with (
        load_bundle(small_bundle) as bundle,
        pytest.raises(
            EngineError, match="pocketdet-run: it is of an older version; build it with: make arm-"
        ),
    ):
        one(BundleSubject(bundle, "fp16"), A76, instrument)


def test_layers_have_names_and_make_up_the_network(network: NetworkSubject, instrument: Instrument) -> None:
    modelled = one(network, A76, instrument)
    assert [layer.facts.name for layer in modelled.layers] == ["conv", "relu", "pool"]
    conv = modelled.layers[0]
    assert conv.facts.macs == conv.figures.macs == 32 * 32 * 32 * 16 * 9
    assert conv.functions[0][0].startswith("ncnn::")
    spent = sum(layer.figures.cycles for layer in modelled.layers)
    assert 0.9 * modelled.total.cycles < spent <= modelled.total.cycles
    assert modelled.unmodelled < 0.01


def test_a_little_core_takes_more_cycles(network: NetworkSubject, instrument: Instrument) -> None:
    little = one(network, CORES["cortex-a55"], instrument)
    assert little.total.cycles > 1.3 * one(network, A76, instrument).total.cycles


def test_a_network_that_ncnn_does_not_have(instrument: Instrument, tmp_path: Path) -> None:
    path = tmp_path / "odd.param"
    path.write_text(NETWORK.replace("ReLU             relu ", "NoSuchLayer      relu "))
    with pytest.raises(GraphError, match="odd.param: .*a layer type is not in this build"):
        one(NetworkSubject(path, None, "fp16", {}), A76, instrument)


def test_a_bundle_by_stage(small_bundle: Path, instrument: Instrument) -> None:
    with load_bundle(small_bundle) as bundle:
        modelled = one(BundleSubject(bundle, "fp16"), A76, instrument)
    names = [stage.name for stage in modelled.stages]
    assert names == ["preprocess", "features", "proposals", "roi_align", "head", "boxes"]
    assert sum(stage.figures.cycles for stage in modelled.stages) == pytest.approx(modelled.total.cycles)
    assert modelled.precision == "fp16"
    assert any(layer.facts.module.startswith("backbone.") for layer in modelled.layers)


def test_lines_are_those_of_maps_that_the_caches_do_not_hold(
    network: NetworkSubject, instrument: Instrument, tmp_path: Path
) -> None:
    path = tmp_path / "large.param"
    path.write_text(
        "7767517\n3 3\nInput in0 0 1 in0 0=512 1=512 2=4\n"
        "ReLU relu 1 1 in0 a\nPooling pool 1 1 a out0 0=1 4=1\n"
    )
    large = one(NetworkSubject(path, None, "fp32", {}), A76, instrument)
    map_lines = 512 * 512 * 4 * 4 / 64
    assert [layer.figures.lines for layer in large.layers][1] == pytest.approx(map_lines, rel=0.01)
    assert large.layers[0].figures.lines > 0.99 * map_lines
    assert large.total.lines == sum(stage.figures.lines for stage in large.stages)
    assert one(network, A76, instrument).total.lines < 0.01 * map_lines
