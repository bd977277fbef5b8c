"""Somebody's own code and weights: what is imported, and what is refused in one sentence."""

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pocketdet.errors import CheckpointError, UsageError
from pocketdet.export.user_module import import_module, load_module_weights

CODE = """
import torch
from torch import nn

class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.register_buffer("index", torch.arange(3))

def make():
    return Detector()

made = Detector()
number = lambda: 3

def fails():
    raise RuntimeError("no\\nluck")
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "their_code.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "broken_code.py").write_text("import not_installed_anywhere", encoding="utf-8")
    (tmp_path / "raising_code.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in ("their_code", "broken_code", "raising_code"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["make", "Detector", "made"])
def test_functions_classes_and_modules_are_taken(name: str) -> None:
    assert type(import_module(f"their_code:{name}")).__name__ == "Detector"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such_code:make", "there is no Python module 'no_such_code' in .* run the command in the folder"),
        ("their_code.inner:make", "No module named 'their_code.inner'|no Python module"),
        ("broken_code:make", "it imports 'not_installed_anywhere', which is not installed"),
        ("raising_code:make", "importing raising_code failed: ZeroDivisionError: division by zero"),
        ("their_code:absent", "their_code has no absent"),
        ("their_code:number", r"gives int: expected a torch\.nn\.Module"),
        ("their_code:fails", r"calling fails\(\) failed: RuntimeError: no$"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(target: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        import_module(target)
    assert "\n" not in str(caught.value)


def test_weights_are_loaded_from_both_formats(tmp_path: Path) -> None:
    source = import_module("their_code:make")
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": source.state_dict()}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        module = import_module("their_code:make")
        load_module_weights(module, tmp_path / name)
        assert torch.equal(module.get_parameter("conv.weight"), source.get_parameter("conv.weight"))


class Payload:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("open('ran', 'w').close()",)


def test_pickles_with_code_and_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    module = import_module("their_code:make")
    (tmp_path / "code.pt").write_bytes(pickle.dumps(Payload(), protocol=2))
    torch.save({"w": Payload()}, tmp_path / "code2.pt")
    for name in ("code.pt", "code2.pt"):
        with pytest.raises(CheckpointError, match="not a plain PyTorch state dict"):
            load_module_weights(module, tmp_path / name)
    assert not (tmp_path / "ran").exists()
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"do not fit Detector: 3 missing: 'index'"):
        load_module_weights(module, tmp_path / "other.pt")
    wrong = module.state_dict()
    wrong["conv.weight"] = torch.full((4, 3, 1, 1), torch.nan)
    torch.save(wrong, tmp_path / "nan.pt")
    with pytest.raises(CheckpointError, match=r"'conv\.weight' has 12 NaN or infinite values"):
        load_module_weights(module, tmp_path / "nan.pt")
