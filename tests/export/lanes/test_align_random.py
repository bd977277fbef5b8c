"""Random small graphs with odd channel counts: whatever is widened, the answers stay."""

import copy
import random

import ncnn
from hypothesis import given, settings
from hypothesis import strategies as st
from lane_graphs import random_graph

from pocketdet.export.passes.align_lanes import Aligned, align_lanes, prove_same
from pocketdet.export.passes.lanes.cost import LANES_ALONE
from pocketdet.export.passes.lanes.rewrite import rewrite
from pocketdet.export.passes.lanes.search import Search
from pocketdet.export.passes.lanes.trace import trace
from pocketdet.runtime.ncnn_graph import Graph, infer_shapes, to_param_text, validate

RELATIVE = (
    1e-4  # sums in another order, through a dozen layers; random nets amplify what a trained one would not
)
ABSOLUTE = 1e-6  # of outputs that are nearly zero everywhere

graphs = st.tuples(st.integers(0, 2**32), st.sampled_from([3, 6, 12, 20]))


def ncnn_has(layer_type: str) -> bool:
    return ncnn.layer_to_index(layer_type) >= 0


def made(wish: tuple[int, int], storage: str = "fp32") -> tuple[Graph, dict[str, tuple[int, ...]]]:
    seed, steps = wish
    builder = random_graph(random.Random(seed), steps)
    return builder.graph(seed % 1000, storage), builder.inputs


def check_same(graph: Graph, aligned: Aligned, inputs: dict[str, tuple[int, ...]]) -> None:
    validate(aligned.graph, inputs, ncnn_has)
    for found in prove_same(graph, aligned.graph, inputs, trials=1):
        assert found.relative < RELATIVE or found.absolute < ABSOLUTE, str(found)


@settings(max_examples=60)
@given(graphs, st.sampled_from([4, 8, 16]), st.sampled_from(["fp32", "fp16", "bf16"]))
def test_answers_shapes_and_names_stay(wish: tuple[int, int], lanes: int, storage: str) -> None:
    graph, inputs = made(wish, storage)
    before, weights = to_param_text(graph), copy.deepcopy([layer.weights for layer in graph.layers])
    aligned = align_lanes(graph, inputs, lanes, rates=LANES_ALONE)
    assert to_param_text(graph) == before  # the graph that came in is not touched
    for layer, kept in zip(graph.layers, weights, strict=True):
        assert all(bytes(layer.weights[role].data) == bytes(kept[role].data) for role in kept)
    assert set(aligned.graph.output_names()) == set(graph.output_names())
    old, new = infer_shapes(graph, inputs), infer_shapes(aligned.graph, inputs)
    assert all(new[blob] == old[blob] for blob in graph.output_names())
    assert {w.storage for layer in aligned.graph.layers for w in layer.weights.values()} <= {
        w.storage for layer in graph.layers for w in layer.weights.values()
    }
    check_same(graph, aligned, inputs)


@settings(max_examples=25)
@given(graphs, st.sampled_from([4, 8, 16]))
def test_outputs_may_keep_their_padding(wish: tuple[int, int], lanes: int) -> None:
    graph, inputs = made(wish)
    aligned = align_lanes(graph, inputs, lanes, rates=LANES_ALONE, wide_outputs=True)
    old, new = infer_shapes(graph, inputs), infer_shapes(aligned.graph, inputs)
    wider = {b: (old[b][0], new[b][0]) for b in graph.output_names() if new[b] != old[b]}
    assert aligned.report.wider_outputs == wider
    check_same(graph, aligned, inputs)


@settings(max_examples=25)
@given(graphs, st.data())
def test_what_is_kept_stays(wish: tuple[int, int], data: st.DataObject) -> None:
    graph, inputs = made(wish)
    blobs = [blob for layer in graph.layers if layer.type not in ("Input", "Split") for blob in layer.outputs]
    kept = data.draw(st.sampled_from(blobs))
    aligned = align_lanes(graph, inputs, 8, rates=LANES_ALONE, keep=[kept])
    for found in prove_same(graph, aligned.graph, inputs, also=[kept], trials=1):
        assert found.relative < RELATIVE or found.absolute < ABSOLUTE, str(found)
    assert kept not in aligned.layouts


@settings(max_examples=20)
@given(graphs)
def test_layouts_say_where_every_channel_went(wish: tuple[int, int]) -> None:
    """Every blob that is laid out anew holds, channel by channel, what the old one held."""
    graph, inputs = made(wish)
    aligned = align_lanes(graph, inputs, 8, rates=LANES_ALONE)
    old, new = infer_shapes(graph, inputs), infer_shapes(aligned.graph, inputs)
    for blob, layout in aligned.layouts.items():
        twin = aligned.twins.get(blob, blob)
        assert len(layout) == new[blob][0]
        assert new[blob][1:] == old[twin][1:] or len(new[blob]) == 1
        assert -1 <= layout.min() <= layout.max() < old[twin][0]


@settings(max_examples=15)
@given(graphs)
def test_twice_is_as_good_as_once(wish: tuple[int, int]) -> None:
    graph, inputs = made(wish)
    once = align_lanes(graph, inputs, 8, rates=LANES_ALONE)
    check_same(graph, align_lanes(once.graph, inputs, 8, rates=LANES_ALONE), inputs)


@settings(max_examples=40)
@given(graphs, st.sampled_from([4, 8, 16]), st.randoms(use_true_random=False))
def test_any_widths_that_are_found_to_work_do(wish: tuple[int, int], lanes: int, rng: random.Random) -> None:
    """Widths at random instead of by cost: odd mixtures, a group of lanes too many, single tensors."""
    graph, inputs = made(wish)
    found = trace(graph, infer_shapes(graph, inputs))
    search = Search(found, lanes, LANES_ALONE, wide_outputs=False)
    widths = [
        own.size
        if own.stays or rng.random() < 0.4
        else -(-own.size // lanes) * lanes + rng.choice([0, 0, lanes])
        for own in found.classes
    ]
    after = rewrite(search.choose(widths).plan)
    validate(after, inputs, ncnn_has)
    for difference in prove_same(graph, after, inputs, trials=1):
        assert difference.relative < RELATIVE or difference.absolute < ABSOLUTE, str(difference)


def test_random_graphs_are_widened_at_all() -> None:
    """The tests above are about something."""
    reports = [align_lanes(*made((seed, 12)), 8, rates=LANES_ALONE).report for seed in range(12)]
    assert sum(len(report.widened) for report in reports) > 30
    assert sum(report.changed for report in reports) > 8
