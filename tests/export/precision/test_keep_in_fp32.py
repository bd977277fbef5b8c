"""Masks and what widens halves before a masked layer: on graphs of all shapes, and as ncnn runs them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketdet.errors import GraphError
from pocketdet.export.passes.keep_in_fp32 import keep_in_fp32
from pocketdet.runtime.ncnn_graph import Graph, Layer
from pocketdet.runtime.ncnn_graph.feature_mask import check_feature_masks, feature_mask, kept_in_fp32


def chain(*types: str) -> Graph:
    """Input a0, then layers l1, l2, ... from a0 to a1 and so on."""
    layers = [Layer("Input", "in", [], ["a0"])]
    layers += [Layer(kind, f"l{i}", [f"a{i - 1}"], [f"a{i}"]) for i, kind in enumerate(types, 1)]
    return Graph(layers)


def lines(graph: Graph) -> list[str]:
    return [f"{x.type} {x.name} {x.inputs}->{x.outputs} {feature_mask(x)}" for x in graph.layers[1:]]


def test_the_first_layer_needs_a_mask_alone() -> None:
    assert lines(keep_in_fp32(chain("ReLU", "ReLU"), ["l1"])) == [
        "ReLU l1 ['a0']->['a1'] 3",
        "ReLU l2 ['a1']->['a2'] 0",
    ]


def test_a_later_layer_gets_its_input_widened() -> None:
    graph = chain("ReLU", "ReLU", "ReLU")
    kept = keep_in_fp32(graph, ["l2", "l3"])
    assert lines(kept) == [
        "ReLU l1 ['a0']->['a1'] 0",
        "Dropout a1_fp32 ['a1']->['a1_fp32'] 0",
        "ReLU l2 ['a1_fp32']->['a2'] 3",
        "ReLU l3 ['a2']->['a3'] 3",
    ]
    assert kept_in_fp32(kept) == ["l2", "l3"]
    assert kept_in_fp32(graph) == []  # as it was
    assert keep_in_fp32(kept, ["l2"]) is kept


def test_a_layer_put_between_two_masked_ones_is_guarded_anew() -> None:
    kept = keep_in_fp32(chain("ReLU", "ReLU"), ["l1", "l2"])
    between = Layer("Crop", "crop", ["a1"], ["cut"])
    last = Layer("ReLU", "l2", ["cut"], ["a2"], {31: 3})
    broken = Graph([*kept.layers[:2], between, last])
    with pytest.raises(GraphError, match=r"'l2': its feature mask 3 forbids halves and its input 'cut'"):
        check_feature_masks(broken)
    assert "Dropout cut_fp32 ['cut']->['cut_fp32'] 0" in lines(keep_in_fp32(broken, []))


def test_names_that_are_taken_are_not_used_again() -> None:
    graph = chain("ReLU", "ReLU")
    graph.layers[1] = Layer("ReLU", "a1_fp32", ["a0"], ["a1"])
    assert "Dropout a1_fp32_ ['a1']->['a1_fp32_'] 0" in lines(keep_in_fp32(graph, ["l2"]))


def test_other_bits_stay() -> None:
    graph = chain("ReLU")
    graph.layers[1].params[31] = 32
    assert feature_mask(keep_in_fp32(graph, ["l1"]).layer("l1")) == 35


def test_a_name_that_is_none() -> None:
    with pytest.raises(GraphError, match="has no layer 'l9'"):
        keep_in_fp32(chain("ReLU"), ["l9"])


@settings(max_examples=300, deadline=None)
@given(data=st.data(), count=st.integers(1, 12))
def test_any_choice_on_any_graph_is_sound(data: st.DataObject, count: int) -> None:
    layers, open_blobs = [Layer("Input", "in", [], ["b"])], ["b"]
    for i in range(count):
        read = data.draw(st.lists(st.sampled_from(open_blobs), min_size=1, max_size=3, unique=True))
        made = [f"b{i}_{k}" for k in range(data.draw(st.integers(1, 3)))]
        layers.append(Layer(data.draw(st.sampled_from(["Concat", "Split", "Dropout"])), f"l{i}", read, made))
        open_blobs = [blob for blob in open_blobs if blob not in read] + made
    names = data.draw(st.sets(st.sampled_from([layer.name for layer in layers])))
    kept = keep_in_fp32(Graph(layers), names)
    check_feature_masks(kept)
    assert set(kept_in_fp32(kept)) == names - {"in"}
    old = {layer.name: layer for layer in layers}
    widened = {x.outputs[0]: x.inputs[0] for x in kept.layers if x.name not in old}
    for layer in kept.layers:
        if layer.name in old:
            assert [widened.get(blob, blob) for blob in layer.inputs] == old[layer.name].inputs
    twice = keep_in_fp32(kept, names)
    assert [x.name for x in twice.layers] == [x.name for x in kept.layers]


@pytest.mark.parametrize("mask", [0, 1, 3, 32, 35])
def test_masks_on_the_first_layer_are_sound(mask: int) -> None:
    graph = chain("ReLU")
    graph.layers[1].params[31] = mask
    check_feature_masks(graph)


@pytest.mark.parametrize(
    ("first", "mask", "sound"),
    [("ReLU", 2, False), ("ReLU", 4, False), ("Dropout", 2, True), ("Dropout", 4, False), ("ReLU", 1, True)],
)
def test_masks_on_later_layers(first: str, mask: int, sound: bool) -> None:
    graph = chain(first, "ReLU")
    graph.layers[2].params[31] = mask
    if sound:
        check_feature_masks(graph)
    else:
        with pytest.raises(GraphError, match="reads out of bounds"):
            check_feature_masks(graph)


def test_a_mask_that_is_no_mask() -> None:
    graph = chain("ReLU")
    graph.layers[1].params[31] = np.pi
    with pytest.raises(GraphError, match="parameter 31 must be an integer"):
        check_feature_masks(graph)
    graph.layers[1].params[31] = 256
    with pytest.raises(GraphError, match=r"the feature mask must be 0\.\.255, found 256"):
        check_feature_masks(graph)
