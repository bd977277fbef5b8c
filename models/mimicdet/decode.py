"""How MimicDet's outputs are read: one square anchor of a cell, regressed twice. Sections 3.2 and 4.2."""

from pocketdet.models.mimicdet.config import STRIDES, MimicDetConfig
from pocketdet.models.ops.default_boxes import level_grids
from pocketdet.spec.one_stage import CxcywhCoding, Level, OneStageSpec, OutputField, Scores


def mimicdet_spec(config: MimicDetConfig) -> OneStageSpec:
    """The description of `config`'s outputs for its input size."""
    levels = []
    grids = level_grids(config.input_size, STRIDES)
    for number, (grid, stride) in enumerate(zip(grids, STRIDES, strict=True), 3):
        side = config.base_size * stride
        levels.append(
            Level(
                grid,
                stride,
                ((side, side),),
                classes=OutputField(f"classes_{number}"),
                boxes=(OutputField(f"refine_{number}"), OutputField(f"boxes_{number}")),
                objectness=OutputField(f"objectness_{number}"),
            )
        )
    return OneStageSpec(
        input_size=config.input_size,
        num_classes=config.num_classes,
        levels=tuple(levels),
        codings=(CxcywhCoding(), CxcywhCoding(multiplier=config.student_std)),
        scores=Scores("softmax", "first"),
        selection=config.selection,
    )
