"""Damage to .param and .bin files, and the promise that every graph which is let through runs as it says."""

import re

import numpy as np

from pocketdet.errors import GraphError
from pocketdet.runtime.ncnn_graph import read_graph, validate


def _mutate_text(rng, text):
    lines = text.splitlines()
    for _ in range(int(rng.integers(1, 3))):
        row = int(rng.integers(0, len(lines)))
        tokens = lines[row].split()
        kind = int(rng.integers(0, 8))
        if kind == 0 and len(tokens) > 1:
            tokens.pop(int(rng.integers(0, len(tokens))))
        elif kind == 1:
            tokens.insert(int(rng.integers(0, len(tokens) + 1)), tokens[int(rng.integers(0, len(tokens)))])
        elif kind == 2:
            lines.insert(row, lines[int(rng.integers(0, len(lines)))])
            continue
        elif kind == 3 and len(lines) > 3:
            other = int(rng.integers(0, len(lines)))
            lines[row], lines[other] = lines[other], lines[row]
            continue
        elif kind == 4:
            other = lines[int(rng.integers(2, len(lines)))].split()
            tokens[0] = other[0]
        else:
            numbers = [i for i, token in enumerate(tokens) if re.search(r"\d", token)]
            if numbers:
                index = numbers[int(rng.integers(0, len(numbers)))]
                spots = list(re.finditer(r"-?\d+", tokens[index]))
                spot = spots[int(rng.integers(0, len(spots)))]
                values = (
                    "0",
                    "1",
                    "-1",
                    "2",
                    "3",
                    "7",
                    "16",
                    "65536",
                    "2147483647",
                    "-233",
                    "-2147483648",
                    "1.5",
                )
                value = values[int(rng.integers(0, len(values)))]
                tokens[index] = tokens[index][: spot.start()] + value + tokens[index][spot.end() :]
        lines[row] = " ".join(tokens)
    return "\n".join(lines) + "\n"


def _mutate_bin(rng, data):
    damaged = bytearray(data)
    kind = int(rng.integers(0, 4))
    if kind == 0:
        return bytes(damaged[: int(rng.integers(0, len(damaged)))])
    if kind == 1:
        return bytes(damaged) + bytes(int(rng.integers(1, 9)))
    for _ in range(int(rng.integers(1, 20))):
        damaged[int(rng.integers(0, len(damaged)))] = int(rng.integers(0, 256))
    return bytes(damaged)


def corrupt_and_run(param, bin_path, inputs, folder, run_ncnn, layer_exists, count, seed):
    """Corrupt a pair `count` times; return (refused, ran). A crash, a hang or another shape fails."""
    rng = np.random.default_rng(seed)
    text, data = param.read_text(), bin_path.read_bytes()
    paths = (folder / "x.param", folder / "x.bin")
    refused = ran = 0
    for trial in range(count):
        damage_bin = trial % 4 == 3
        paths[0].write_text(text if damage_bin else _mutate_text(rng, text))
        paths[1].write_bytes(_mutate_bin(rng, data) if damage_bin else data)
        try:
            valid = validate(read_graph(*paths), inputs, layer_exists)
        except GraphError as refusal:
            refused += 1
            assert "\n" not in str(refusal)
            continue
        ran += 1
        fed = valid.graph.input_names()
        expected = {name: shape for name, shape in valid.shapes.items() if name not in fed}
        answer = run_ncnn.run(*paths, inputs, expected)
        assert answer.get("shapes") == expected, (trial, paths[0].read_text(), answer)
        outputs = valid.graph.output_names()
        light = run_ncnn.run(*paths, inputs, [name for name in outputs if name not in fed], light=True)
        assert set(light["shapes"]) == set(outputs) - set(fed)
    return refused, ran
