"""The calibration table: all scales and factors that convert an fp32 graph to an int8 one.

    int8 = apply_table(graph, table)

The same items, settings, ncnn version and kind of processor give the same table, bit for bit. Numbers are the
shortest decimals that represent the same float32.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pocketdet.errors import GraphError, UsageError
from pocketdet.export.quantization.equalise import Edge, equalised
from pocketdet.export.quantization.layers import INT8_TYPES, bias_of, to_int8, weight_scales
from pocketdet.export.quantization.settings import Array, Method
from pocketdet.runtime.ncnn_graph import Graph, Layer, to_param_text
from pocketdet.runtime.ncnn_graph.files import weight_chunks

Scale = Annotated[float, Field(gt=0, le=1e31, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LayerScales(_Strict):
    """One layer of a type that ncnn has in int8.

    Attributes:
        name: of the layer.
        type: its ncnn type.
        kept: the reason if it stays in fp32.
        input_scale: of the activation; None for a Gemm, which computes it at run time.
        weight_scales: one per output channel or group.
    """

    name: str
    type: str
    kept: str = ""
    input_scale: Scale | None = None
    weight_scales: list[Scale] = []


class EdgeChoice(_Strict):
    """A tensor that was equalised, see `equalise`.

    Attributes:
        maker: the layer that writes it.
        readers: the layers that read it.
        factors: one per channel.
    """

    maker: str
    readers: list[str]
    factors: list[Scale]


class Table(_Strict):
    """All choices for one graph.

    Attributes:
        format: of the file.
        graph: SHA-256 of the fp32 graph.
        ncnn: the version that calibrated it.
        method: of the activation ranges.
        items: the number of calibration items.
        equalised: in the order of application.
        layers: every layer of a type that ncnn has in int8.
    """

    format: Literal["pocketdet-int8-calibration-1"] = "pocketdet-int8-calibration-1"
    graph: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    ncnn: str
    method: Method
    items: Annotated[int, Field(ge=1)]
    equalised: list[EdgeChoice] = []
    layers: list[LayerScales]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for layer in self.layers:
            wants_scale = layer.type != "Gemm" and not layer.kept
            if (layer.input_scale is not None) != wants_scale or bool(layer.weight_scales) == bool(
                layer.kept
            ):
                raise ValueError(f"layer {layer.name!r} must have scales if and only if it is not kept")
        return self

    def to_json(self) -> str:
        """The text of a file; equal tables have equal texts."""
        return json.dumps(self.model_dump(), indent=1, sort_keys=True, allow_nan=False) + "\n"


def numbers(values: Array) -> list[float]:
    """float32 values as the shortest decimals that represent them."""
    return [float(str(value)) for value in values.reshape(-1)]


def fingerprint(graph: Graph) -> str:
    """SHA-256 of the .param and .bin files of a graph."""
    digest = hashlib.sha256(to_param_text(graph).encode())
    for chunk in weight_chunks(graph.layers):
        digest.update(chunk)
    return digest.hexdigest()


def apply_table(graph: Graph, table: Table) -> Graph:
    """Convert an fp32 graph to int8.

    Args:
        graph: the fp32 graph; it is not changed.
        table: its calibration table.

    Raises:
        UsageError: if the table belongs to another graph.
        GraphError: if the table does not match the layers.
    """
    if table.graph != fingerprint(graph):
        raise UsageError(
            "the calibration table was made for another graph: its weights or layers differ; calibrate again"
        )
    types = {layer.name: layer.type for layer in graph.layers}
    for choice in table.layers:
        if types.get(choice.name) != choice.type or choice.type not in INT8_TYPES:
            raise GraphError(
                f"the calibration table has the {choice.type} {choice.name!r}, "
                "which is no layer of this graph that ncnn has in int8"
            )
    for name in (name for edge in table.equalised for name in (edge.maker, *edge.readers)):
        if types.get(name) not in ("Convolution", "ConvolutionDepthWise"):
            raise GraphError(
                f"the calibration table equalises {name!r}, which is no convolution of this graph"
            )
    return rewrite(apply_equalised(graph, table.equalised), table.layers)


def apply_equalised(graph: Graph, edges: Iterable[EdgeChoice]) -> Graph:
    """A copy of an fp32 graph with the tensors of `edges` equalised."""
    for edge in edges:
        if edge.maker in edge.readers:
            raise GraphError(f"the calibration table says that {edge.maker!r} reads what it makes")
        scale = np.array(edge.factors, np.float32)
        if len(bias_of(graph.layer(edge.maker))) != len(scale):
            raise GraphError(f"the calibration table has {len(scale)} factors for {edge.maker!r}")
        graph = equalised(graph, Edge(edge.maker, tuple(edge.readers), ()), scale)
    return graph


def rewrite(graph: Graph, choices: Iterable[LayerScales]) -> Graph:
    """A copy of an equalised graph with all layers in int8 that are not kept in fp32."""
    by_name = {choice.name: choice for choice in choices if not choice.kept}
    layers = [
        _rewritten(layer, by_name[layer.name]) if layer.name in by_name else layer for layer in graph.layers
    ]
    return replace(graph, layers=layers)


def _rewritten(layer: Layer, choice: LayerScales) -> Layer:
    scales = np.array(choice.weight_scales, np.float32)
    if len(scales) != len(weight_scales(layer)):
        raise layer.error(f"the calibration table has {len(scales)} weight scales for it")
    return to_int8(layer, scales, choice.input_scale)
