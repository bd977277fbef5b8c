"""Views of layers: every name is in the table of the layer types, ids differ by type, defaults are ncnn's."""

import pytest

from pocketdet.errors import GraphError
from pocketdet.runtime.ncnn_graph import LAYER_TYPES, Layer
from pocketdet.runtime.ncnn_graph.layer_views import VIEWS, Convolution, Crop, Gemm, LayerView, PReLU, _Param


def layer(kind: str, params: dict | None = None) -> Layer:
    return Layer(kind, "x", ["in"], ["out"], dict(params or {}))


@pytest.mark.parametrize("view", VIEWS)
def test_each_name_is_a_parameter_of_one_of_the_types(view: type[LayerView]) -> None:
    names = {name for name, value in vars(view).items() if isinstance(value, _Param)}
    assert names
    assert names <= {name for kind in view.types for name in LAYER_TYPES[kind].params}


@pytest.mark.parametrize("view", VIEWS)
def test_what_is_written_is_read_and_stored_under_the_id_of_the_type(view: type[LayerView]) -> None:
    for kind in view.types:
        for name, param in vars(view).items():
            if isinstance(param, _Param) and name in LAYER_TYPES[kind].params:
                one = view.of(layer(kind))
                assert not one.is_given(name)
                value = (3, 4) if isinstance(getattr(one, name), tuple) else 3
                setattr(one, name, value)
                assert one.layer.params == {LAYER_TYPES[kind].params[name]: value}
                assert getattr(one, name) == value
                assert one.is_given(name)


def test_ids_depend_on_the_type() -> None:
    assert Convolution.of(layer("Convolution", {19: 1})).dynamic_weight == 1
    assert Convolution.of(layer("Deconvolution", {19: 1})).dynamic_weight == 0
    assert Convolution.of(layer("Deconvolution", {28: 1})).dynamic_weight == 1
    assert Convolution.of(layer("ConvolutionDepthWise", {7: 8})).group == 8
    assert Convolution.of(layer("Convolution")).group == 1


def test_a_missing_height_is_the_width_and_sides_follow_each_other() -> None:
    view = Convolution.of(layer("Convolution", {1: 3, 3: 2, 4: 1, 14: 0}))
    assert (view.kernel, view.stride, view.dilation) == ((3, 3), (2, 2), (1, 1))
    assert (view.pad_left, view.pad_right, view.pad_top, view.pad_bottom) == (1, 1, 0, 0)
    view.kernel_h = 5
    assert view.kernel == (5, 3)
    assert view.layer.params[11] == 5


def test_a_copy_leaves_the_layer_as_it_is() -> None:
    original = layer("Gemm", {2: 1})
    copied = Gemm.of_copy(original)
    copied.transA = 0
    assert (original.params, copied.layer.params) == ({2: 1}, {2: 0})


def test_another_type_and_a_wrong_value_are_refused() -> None:
    with pytest.raises(GraphError, match="Crop 'x': is not one of the types PReLU"):
        PReLU.of(layer("Crop"))
    with pytest.raises(GraphError, match="parameter 1 must be an integer, found 0.5"):
        _ = Convolution.of(layer("Convolution", {1: 0.5})).kernel
    with pytest.raises(GraphError, match="parameter 9 must be an array of integers"):
        _ = Crop.of(layer("Crop", {9: 1})).starts
    with pytest.raises(KeyError):
        Convolution.of(layer("Convolution")).group = 2
