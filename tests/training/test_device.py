"""Which device a run gets, and half precision where it is asked for. There is no GPU here: CUDA is played."""

from pathlib import Path

import pytest
import torch
from train_together import NAMES, SHORT, config, pipeline, run
from typer.testing import CliRunner

from pocketdet.cli.main import app
from pocketdet.errors import UsageError
from pocketdet.training.device import choose_device, use_autocast
from pocketdet.training.loop import start_run, train


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs, as far as PyTorch says."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_is_the_cpu() -> None:
    assert choose_device() == choose_device("cpu", 3, 4) == choose_device("auto", 1, 2) == torch.device("cpu")
    for wanted in ("cuda", "cuda:1"):
        with pytest.raises(UsageError, match=rf"device {wanted}: PyTorch .*; choose cpu or auto"):
            choose_device(wanted)


@pytest.mark.usefixtures("no_gpu")
def test_the_command_line_passes_the_device_on(tmp_path: Path) -> None:
    recipe = tmp_path / "train.toml"
    recipe.touch()
    result = CliRunner().invoke(app, ["train", str(recipe), "--device", "cuda"])
    assert isinstance(result.exception, UsageError)
    assert "device cuda" in str(result.exception)


@pytest.mark.usefixtures("gpus")
def test_each_process_gets_its_own_gpu() -> None:
    assert choose_device() == choose_device("cuda") == torch.device("cuda", 0)
    assert choose_device("auto", 1, 2) == choose_device("cuda", 1, 4) == torch.device("cuda", 1)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("cpu", 1, 2) == torch.device("cpu")


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(
    ("wanted", "local_rank", "processes", "message"),
    [
        ("cuda:2", 0, 1, "device cuda:2: GPU 2 does not exist, PyTorch sees 2"),
        ("cuda", 2, 3, "process 2 of this machine: GPU 2 does not exist"),
        ("auto", 2, 3, "process 2 of this machine: GPU 2 does not exist"),
        ("cuda:0", 0, 2, "one GPU for 2 processes"),
        ("gpu", 0, 1, "'gpu': expected auto, cpu, cuda or cuda:N"),
        ("cuda:-1", 0, 1, "'cuda:-1': expected"),
        ("", 0, 1, "'': expected"),
    ],
)
def test_a_device_that_cannot_be_is_named(wanted: str, local_rank: int, processes: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_device(wanted, local_rank, processes)


@pytest.mark.parametrize("able", [True, False])
def test_half_precision_is_for_gpus_that_compute_in_it(monkeypatch: pytest.MonkeyPatch, able: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    cpu, cuda = torch.device("cpu"), torch.device("cuda", 0)
    assert (use_autocast(cpu, None), use_autocast(cuda, None)) == (False, able)
    for device in (cpu, cuda):
        assert use_autocast(device, True)
        assert not use_autocast(device, False)


def test_autocast_runs_the_network_alone_in_half_precision(tmp_path: Path) -> None:
    full = run(config(tmp_path / "full", images=SHORT), stop_after=1).losses[0]
    setup = config(tmp_path / "half", images=SHORT)
    state = start_run(setup, setup.detector(NAMES))
    seen: dict[str, torch.dtype] = {}
    for name in ("backbone", "head"):
        state.model.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: output[0].dtype})
        )
    half = list(train(setup, pipeline(), state, autocast=True))
    assert seen["backbone"] == seen["head"] == torch.bfloat16
    assert {value.dtype for value in state.model.parameters()} == {torch.float32}
    assert {value.dtype for value in state.weights.values()} == {torch.float32, torch.int64}
    for name in ("loss", "rpn_class", "rpn_box", "head_class"):
        assert half[0].losses[name] == pytest.approx(full[name], rel=0.05), name
    assert half[0].losses["loss"] != full["loss"]
