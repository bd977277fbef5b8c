"""`pocketdet export package.module:factory`: somebody's code and weights become a bundle."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import Ending, command
from damage import damaged_copy
from user_detectors import SIDE, SSD_DESCRIPTION, PlainSsd, block_images, decode_ssd, raw_outputs

from pocketdet.cli.user_code import is_module_target
from pocketdet.runtime.detector import Detector

__all__ = ["command"]
Command = Callable[..., Ending]
TARGET = "their_package.detectors:make"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with code, a description and trained weights."""
    package = tmp_path / "their_package"
    package.mkdir()
    (package / "detectors.py").write_text(
        "from user_detectors import PlainSsd\n\ndef make():\n    return PlainSsd()\n", encoding="utf-8"
    )
    (tmp_path / "d.toml").write_text(SSD_DESCRIPTION, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("their_package", "their_package.detectors"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def trained() -> PlainSsd:
    """The detector with other weights than those of its factory."""
    module = PlainSsd().eval()
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for head in (module.classification_head, module.regression_head):
            for parameter in head.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return module


def test_code_and_weights_become_a_bundle(command: Command, project: Path, tmp_path: Path) -> None:
    module = trained()
    torch.save(module.state_dict(), project / "w.pt")
    done = command("export", TARGET, "--weights", "w.pt", "--outputs", "d.toml", "--name", "theirs")
    assert done.code == 0, done
    assert "folded backbone.1.1 into backbone.1.0" in done.out
    with Detector(project / "theirs.pocketdet") as detector:
        for image in block_images():
            found = detector.detect(image)
            expected = decode_ssd(raw_outputs(module, image, 127.5, 127.5))
            assert found.labels.tolist() == [label for label, _, _ in expected]
            boxes = np.clip([box for _, _, box in expected], 0, SIDE)
            np.testing.assert_allclose(found.boxes, boxes, atol=0.02)
    assert command("verify", "theirs.pocketdet", "--layers").code == 0
    again = command("verify", "theirs.pocketdet", "--module", TARGET, "--weights", "w.pt", "--layers")
    assert again.code == 0, again
    assert "pytorch against PyTorch at export" in again.out
    other = command("verify", "theirs.pocketdet", "--module", TARGET)  # the factory's own weights
    assert other.code == 1
    damaged_copy(project / "theirs.pocketdet", tmp_path / "bad.pocketdet", "model", "conv_10")
    failed = command("verify", "bad.pocketdet", "--layers")
    assert failed.code == 1
    assert "made by classification_head.module_list.1" in failed.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((TARGET,), "a PyTorch module needs --outputs FILE"),
        ((TARGET, "--outputs", "d.toml", "--preset", "yolox"), "--arch and --preset are not for"),
        ((TARGET, "--outputs", "absent.toml"), "absent.toml: no such file"),
        ((TARGET, "--outputs", "d.toml", "--weights", "absent.pt"), "absent.pt: no such file"),
        (("no_package.code:make", "--outputs", "d.toml"), "there is no Python module 'no_package'"),
        ((f"{TARGET}r", "--outputs", "d.toml"), "their_package.detectors has no maker"),
        (("weights.pt", "--weights", "w.pt"), "--weights is for package.module:factory"),
    ],
)
def test_mistakes_are_one_sentence(
    command: Command, project: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = command("export", *arguments)
    assert done.code == 2
    assert words in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not list(project.glob("*.pocketdet"))


def test_targets_are_told_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_module_target("package.module:factory")
    assert not is_module_target("weights.pt")
    assert not is_module_target("C:\\weights.pt")
    (tmp_path / "odd:name").touch()
    assert not is_module_target("odd:name")
