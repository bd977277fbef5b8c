"""Random small graphs with odd channel counts: whatever is widened, the outputs stay the same."""

import copy
import random

import ncnn
from graph_builder import random_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketdet.export.compare_graphs import compare_graphs
from pocketdet.export.passes.channel_alignment import Alignment, align_channels
from pocketdet.export.passes.channel_alignment.cost import WIDEN_EVERYTHING
from pocketdet.export.passes.channel_alignment.rewrite import rewrite
from pocketdet.export.passes.channel_alignment.search import Search
from pocketdet.export.passes.channel_alignment.trace import trace
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


def check_same(graph: Graph, aligned: Alignment, inputs: dict[str, tuple[int, ...]]) -> None:
    validate(aligned.graph, inputs, ncnn_has)
    for found in compare_graphs(graph, aligned.graph, inputs, trials=1):
        assert found.relative < RELATIVE or found.absolute < ABSOLUTE, str(found)


@settings(max_examples=60)
@given(graphs, st.sampled_from([4, 8, 16]), st.sampled_from(["fp32", "fp16", "bf16"]))
def test_names_shapes_and_values_of_outputs_stay(wish: tuple[int, int], lanes: int, storage: str) -> None:
    graph, inputs = made(wish, storage)
    before, weights = to_param_text(graph), copy.deepcopy([layer.weights for layer in graph.layers])
    aligned = align_channels(graph, inputs, lanes, rates=WIDEN_EVERYTHING)
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
def test_wide_outputs(wish: tuple[int, int], lanes: int) -> None:
    graph, inputs = made(wish)
    aligned = align_channels(graph, inputs, lanes, rates=WIDEN_EVERYTHING, wide_outputs=True)
    old, new = infer_shapes(graph, inputs), infer_shapes(aligned.graph, inputs)
    wider = {b: (old[b][0], new[b][0]) for b in graph.output_names() if new[b] != old[b]}
    assert aligned.report.wider_outputs == wider
    check_same(graph, aligned, inputs)


@settings(max_examples=25)
@given(graphs, st.data())
def test_preserved_blobs_stay(wish: tuple[int, int], data: st.DataObject) -> None:
    graph, inputs = made(wish)
    blobs = [blob for layer in graph.layers if layer.type not in ("Input", "Split") for blob in layer.outputs]
    kept = data.draw(st.sampled_from(blobs))
    aligned = align_channels(graph, inputs, 8, rates=WIDEN_EVERYTHING, preserve=[kept])
    for found in compare_graphs(graph, aligned.graph, inputs, also=[kept], trials=1):
        assert found.relative < RELATIVE or found.absolute < ABSOLUTE, str(found)
    assert kept not in aligned.channel_orders


@settings(max_examples=20)
@given(graphs)
def test_channel_orders_fit_their_blobs(wish: tuple[int, int]) -> None:
    """The channel order of a changed blob has its length and refers to channels of the original blob."""
    graph, inputs = made(wish)
    aligned = align_channels(graph, inputs, 8, rates=WIDEN_EVERYTHING)
    old, new = infer_shapes(graph, inputs), infer_shapes(aligned.graph, inputs)
    for blob, order in aligned.channel_orders.items():
        counterpart = aligned.counterparts.get(blob, blob)
        assert len(order) == new[blob][0]
        assert new[blob][1:] == old[counterpart][1:] or len(new[blob]) == 1
        assert -1 <= order.min() <= order.max() < old[counterpart][0]


@settings(max_examples=15)
@given(graphs)
def test_aligning_twice(wish: tuple[int, int]) -> None:
    graph, inputs = made(wish)
    once = align_channels(graph, inputs, 8, rates=WIDEN_EVERYTHING)
    check_same(graph, align_channels(once.graph, inputs, 8, rates=WIDEN_EVERYTHING), inputs)


@settings(max_examples=40)
@given(graphs, st.sampled_from([4, 8, 16]), st.randoms(use_true_random=False))
def test_random_widths_that_can_be_placed(wish: tuple[int, int], lanes: int, rng: random.Random) -> None:
    """Widths are random instead of chosen by cost: mixtures, more lanes than needed, single tensors."""
    graph, inputs = made(wish)
    found = trace(graph, infer_shapes(graph, inputs))
    search = Search(found, lanes, WIDEN_EVERYTHING, wide_outputs=False)
    widths = [
        group.size
        if group.exclusion_reason or rng.random() < 0.4
        else -(-group.size // lanes) * lanes + rng.choice([0, 0, lanes])
        for group in found.groups
    ]
    after = rewrite(search.make_candidate(widths).plan)
    validate(after, inputs, ncnn_has)
    for difference in compare_graphs(graph, after, inputs, trials=1):
        assert difference.relative < RELATIVE or difference.absolute < ABSOLUTE, str(difference)


def test_random_graphs_are_widened_at_all() -> None:
    """The tests above change graphs."""
    reports = [align_channels(*made((seed, 12)), 8, rates=WIDEN_EVERYTHING).report for seed in range(12)]
    assert sum(len(report.widened) for report in reports) > 30
    assert sum(report.changed for report in reports) > 8
