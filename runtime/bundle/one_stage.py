"""The manifest of a one-stage detector: one graph and the description of its outputs."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from pocketdet.runtime.bundle.schema import Graphs, GraphSpec, Manifest, StageShapes
from pocketdet.spec.one_stage import OneStageSpec

OUTPUTS = "outputs."


class OneStageGraphs(Graphs):
    """The network of a one-stage detector. Output roles are the output names of the description's fields."""

    model: GraphSpec


class OneStageManifest(Manifest):
    """Manifest of a one-stage detector.

    `decode` describes the post-processing; missing values have defaults. Callers may override its
    `selection`.
    """

    size_fields: ClassVar[tuple[str, ...]] = (*Manifest.size_fields, "decode")
    detector: Literal["one-stage"]  # pyright: ignore[reportIncompatibleVariableOverride]: frozen
    graphs: OneStageGraphs  # pyright: ignore[reportIncompatibleVariableOverride]: frozen
    decode: OneStageSpec

    @property
    def max_rois(self) -> int:
        """0: no shape depends on the number of RoIs."""
        return 0

    def network_stages(self) -> StageShapes:
        """See `Manifest.network_stages`."""
        shapes = {o.role: o.shape for o in self.graphs.model.outputs}
        return {OUTPUTS + role: ("float32", tuple(n or 0 for n in shape)) for role, shape in shapes.items()}

    @model_validator(mode="after")
    def _decode_fits_the_network(self) -> Self:
        size, (first, *others) = (self.input.height, self.input.width), self.graphs.model.inputs
        if others or (first.role, first.shape) != ("image", (3, *size)):
            found = ", ".join(f"{i.role!r} {i.shape}" for i in self.graphs.model.inputs)
            raise ValueError(f"graph 'model': expected one input 'image' {(3, *size)}, found {found[:200]}")
        if self.decode.input_size != size:
            raise ValueError(f"decode.input_size: expected {size}, found {self.decode.input_size}")
        if self.decode.num_classes != len(self.class_names):
            raise ValueError(
                f"decode.num_classes: expected {len(self.class_names)}, as many as class_names, "
                f"found {self.decode.num_classes}"
            )
        return self

    @model_validator(mode="after")
    def _outputs_match_decode(self) -> Self:
        shapes: dict[str, tuple[int | None, ...]] = {}
        for output in self.graphs.model.outputs:
            what = f"graph 'model': output {output.role!r}"
            if output.role in shapes or output.role not in self.decode.outputs:
                raise ValueError(f"{what} is made twice, or no field of decode names it")
            if len(output.shape) > 3 or None in output.shape:
                raise ValueError(f"{what}: expected one to three lengths, found {output.shape}")
            shapes[output.role] = output.shape
        missing = next((name for name in self.decode.outputs if name not in shapes), None)
        if missing is not None:
            raise ValueError(f"graph 'model' has no output {missing[:100]!r}, which decode names")
        for level, field, elements in self.decode.fields_read():
            problem = level.shape_error(field, elements, shapes[field.output])
            if problem:
                raise ValueError(f"decode: {problem}")
        return self
