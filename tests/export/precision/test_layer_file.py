"""The file that chooses the precision of single layers: read, matched, and refused by name."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketdet.errors import UsageError
from pocketdet.export.precision import LayerChoice, read_layer_file
from pocketdet.export.precision.plan import resolve

CALLED = {
    "features/conv_0": ("conv_0", "features/conv_0", "backbone.conv1.0"),
    "features/conv_1": ("conv_1", "features/conv_1", "backbone.stage2.0"),
    "features/relu[2]": ("relu[2]", "features/relu[2]"),
    "head/gemm_0": ("gemm_0", "head/gemm_0", "head.fc"),
    "head/gemm_1": ("gemm_1", "head/gemm_1", "head.scores", "head.deltas"),
}


def read(tmp_path: Path, text: str) -> tuple[LayerChoice, ...]:
    path = tmp_path / "layers.toml"
    path.write_text(text)
    return read_layer_file(path)


def test_lines_keep_their_order(tmp_path: Path) -> None:
    text = '# a remark\n[layers]\n"*" = "fp32"\nconv_0 = "fp16"\n"head/*" = "int8"\n'
    assert read(tmp_path, text) == (
        LayerChoice("*", "fp32"),
        LayerChoice("conv_0", "fp16"),
        LayerChoice("head/*", "int8"),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("layers", "not a TOML file"),
        ("[layers\n", "not a TOML file"),
        ("", "expected one table"),
        ('conv_0 = "fp32"', "expected one table .* found 'conv_0'"),
        ('layers = "fp32"', "expected one table"),
        ('[layers]\n[other]\na = "fp32"', "found 'layers', 'other'"),
        ('[layers]\nconv_0 = "fp8"', "layer 'conv_0': expected fp32, fp16, int8, found 'fp8'"),
        ("[layers]\nconv_0 = 16", "layer 'conv_0': expected fp32, fp16, int8, found 16"),
        ('[layers]\nhead.fc = "fp32"', "layer 'head': .* a name with dots needs quotes"),
        ('[layers]\na = "fp32"\na = "fp16"', "not a TOML file"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=rf"layers\.toml: .*{sentence}"):
        read(tmp_path, text)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_layer_file(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not a TOML file"):
        read_layer_file(tmp_path / "binary.toml")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("conv_0", {"features/conv_0"}),
        ("conv_*", {"features/conv_0", "features/conv_1"}),
        ("conv_[1-9]", {"features/conv_1"}),
        ("relu[2]", {"features/relu[2]"}),
        ("head/*", {"head/gemm_0", "head/gemm_1"}),
        ("backbone.*", {"features/conv_0", "features/conv_1"}),
        ("head.deltas", {"head/gemm_1"}),
        ("*", set(CALLED)),
    ],
)
def test_names_and_globs(pattern: str, expected: set[str]) -> None:
    assert set(resolve([LayerChoice(pattern, "fp32")], CALLED)) == expected


def test_the_last_line_decides() -> None:
    choices = [LayerChoice("*", "fp32"), LayerChoice("head.fc", "fp16"), LayerChoice("gemm_?", "int8")]
    chosen = resolve(choices, CALLED)
    assert chosen["features/conv_0"] == "fp32"
    assert chosen["head/gemm_0"] == chosen["head/gemm_1"] == "int8"


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no layer is called 'conv0'; the nearest names are 'conv_"):
        resolve([LayerChoice("conv0", "fp32")], CALLED)
    with pytest.raises(UsageError, match=r"'head\.score'; the nearest names are 'head\.scores'"):
        resolve([LayerChoice("head.score", "fp32")], CALLED)
    with pytest.raises(UsageError, match="the nearest names are 'conv_0', "):
        resolve([LayerChoice("~~~~~~~", "fp32")], CALLED)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        assert all(choice.precision in ("fp32", "fp16", "int8") for choice in read_layer_file(path))
    except UsageError as error:
        assert str(error).startswith(str(path))


@settings(max_examples=200, deadline=None)
@given(pattern=st.text(max_size=12))
def test_any_pattern_fits_or_is_refused(pattern: str) -> None:
    try:
        assert resolve([LayerChoice(pattern, "fp32")], CALLED)
    except UsageError as error:
        assert "the nearest names are" in str(error)
