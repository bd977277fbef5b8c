"""Functions by address, and their short names."""

import pytest

from pocketdet.armmodel.trace import parse_symbols, short_name
from pocketdet.errors import EngineError

LISTING = """\
0000000000401b50 T run_frame
0000000000402000 t ncnn::convolve(ncnn::Mat const&, std::vector<int, std::allocator<int>>&)
0000000000402000 W another name of the same
                 U undefined
0000000000500000 R std::chrono::_V2::steady_clock::is_steady
00000000004ff000 T std::chrono::_V2::steady_clock::now()
"""


def test_functions_by_address() -> None:
    symbols = parse_symbols(LISTING)
    assert [symbols.at(address) for address in (0x400000, 0x401B50, 0x401FFC)] == [
        "?",
        "run_frame",
        "run_frame",
    ]
    assert symbols.at(0x402004).startswith("ncnn::convolve")
    assert symbols.address("std::chrono::_V2::steady_clock::now") == 0x4FF000
    for name in ("no such", ""):
        with pytest.raises(EngineError, match="expected one function"):
            symbols.address(name)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("ncnn::Pooling_arm::forward(ncnn::Mat const&, ncnn::Option const&) const", "Pooling_arm::forward"),
        ("ncnn::conv3x3s2_pack1to8_fp16sa_neon(ncnn::Mat const&)", "conv3x3s2_pack1to8_fp16sa_neon"),
        ("void pocketdet::(anonymous namespace)::pass<float, int>(float const*)", "pass"),
        ("std::vector<int, std::allocator<int>>::_M_realloc(int)", "vector::_M_realloc"),
        ("__memcpy_generic", "__memcpy_generic"),
        ("?", "?"),
    ],
)
def test_short_names(name: str, short: str) -> None:
    assert short_name(name) == short
