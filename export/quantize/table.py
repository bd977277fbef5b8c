"""The calibration table: every choice that turns an fp32 graph into an int8 one, as a file.

    table = Table.from_json(Path("calibration.json").read_text())
    int8 = apply_table(graph, table)

The same items, settings, ncnn and kind of processor give the same table, bit for bit: one thread, no clock,
no randomness. Numbers are the shortest decimals that read back as the same float32.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pocketdet.errors import GraphError, UsageError
from pocketdet.export.quantize.equalise import Edge, equalised
from pocketdet.export.quantize.layers import INT8_TYPES, bias_of, to_int8, weight_scales, with_bias
from pocketdet.export.quantize.settings import Array
from pocketdet.runtime.ncnn_graph import Graph, Layer, to_param_text
from pocketdet.runtime.ncnn_graph.bin_file import weight_chunks

Scale = Annotated[float, Field(gt=0, le=1e31, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-3.4e38, le=3.4e38, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LayerScales(_Strict):
    """One layer of a type that ncnn has in int8. kept: why it stays in fp32, empty if it does not.

    input_scale is None for a Gemm, which finds its own; bias is None where it is that of the graph.
    """

    name: str
    type: str
    kept: str = ""
    input_scale: Scale | None = None
    weight_scales: list[Scale] = []
    bias: list[Number] | None = None


class EdgeChoice(_Strict):
    """A tensor that was equalised, see `equalise`."""

    maker: str
    readers: list[str]
    factors: list[Scale]


class Table(_Strict):
    """graph: SHA-256 of the fp32 graph it belongs to. method: how activation ranges were found."""

    format: Literal["pocketdet-int8-calibration-1"] = "pocketdet-int8-calibration-1"
    graph: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    ncnn: str
    method: Literal["min-max", "kl", "mse"]
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
            if layer.kept and layer.bias is not None:
                raise ValueError(f"layer {layer.name!r} is kept and has a corrected bias")
        return self

    def to_json(self) -> str:
        """The file's text, the same for the same table."""
        return json.dumps(self.model_dump(), indent=1, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Table":
        """Read a table. Raises UsageError naming the first thing that is wrong."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(f"the calibration table cannot be used: {where}: {first['msg']}") from None


def numbers(values: Array) -> list[float]:
    """float32 values as the shortest decimals that stand for them."""
    return [float(str(value)) for value in values.reshape(-1)]


def fingerprint(graph: Graph) -> str:
    """SHA-256 of the graph as it would be written, parameters and weights."""
    digest = hashlib.sha256(to_param_text(graph).encode())
    for chunk in weight_chunks(graph.layers):
        digest.update(chunk)
    return digest.hexdigest()


def apply_table(graph: Graph, table: Table) -> Graph:
    """The int8 graph; the given one stays as it is.

    Raises UsageError for the table of another graph, GraphError where it does not fit the layers.
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
    """The fp32 graph with these tensors equalised."""
    for edge in edges:
        if edge.maker in edge.readers:
            raise GraphError(f"the calibration table says that {edge.maker!r} reads what it makes")
        scale = np.array(edge.factors, np.float32)
        if len(bias_of(graph.layer(edge.maker))) != len(scale):
            raise GraphError(f"the calibration table has {len(scale)} factors for {edge.maker!r}")
        graph = equalised(graph, Edge(edge.maker, tuple(edge.readers), ()), scale)
    return graph


def rewrite(graph: Graph, choices: Iterable[LayerScales]) -> Graph:
    """The graph, equalised already, with the layers that are not kept in int8."""
    by_name = {choice.name: choice for choice in choices if not choice.kept}
    layers = [
        _rewritten(layer, by_name[layer.name]) if layer.name in by_name else layer for layer in graph.layers
    ]
    return replace(graph, layers=layers)


def _rewritten(layer: Layer, choice: LayerScales) -> Layer:
    scales = np.array(choice.weight_scales, np.float32)
    if len(scales) != len(weight_scales(layer)):
        raise layer.error(f"the calibration table has {len(scales)} weight scales for it")
    if choice.bias is not None:
        bias = np.array(choice.bias, np.float32)
        if len(bias) != len(bias_of(layer)):
            raise layer.error(f"the calibration table has {len(bias)} biases for it")
        layer = with_bias(layer, bias)
    return to_int8(layer, scales, choice.input_scale)
