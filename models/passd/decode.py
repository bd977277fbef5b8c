"""How PASSD's outputs are read: two codings, one after the other. PASSD equations 1 and 2, section 6.2."""

from pocketdet.models.ops.default_boxes import level_grids
from pocketdet.models.passd.config import PASSDConfig
from pocketdet.spec.one_stage import CxcywhCoding, Level, OneStageSpec, OutputField, Scores


def default_sides(config: PASSDConfig, stride: int) -> tuple[float, ...]:
    """Sides of the default boxes of a level, in pixels."""
    return tuple(config.base_size * stride * scale for scale in config.scales)


def passd_spec(config: PASSDConfig) -> OneStageSpec:
    """The description of `config`'s outputs for its input size.

    Objectness has its slots, but the paper's inference does not use it; `config.selection` can.
    """
    step = config.num_classes + 5
    levels = []
    for number, (grid, stride) in enumerate(
        zip(level_grids(config.input_size, config.strides), config.strides, strict=True)
    ):
        attend = f"attend_{number}"
        levels.append(
            Level(
                grid,
                stride,
                tuple((side, side) for side in default_sides(config, stride)),
                classes=OutputField(attend, anchor_channels=step),
                boxes=(
                    OutputField(f"propose_{number}", anchor_channels=4),
                    OutputField(attend, first=config.num_classes + 1, anchor_channels=step),
                ),
                objectness=OutputField(f"objectness_{number}", anchor_channels=2),
            )
        )
    propose = CxcywhCoding(centre_activation="tanh", centre_gain=0.5, centre_unit="stride")
    return OneStageSpec(
        input_size=config.input_size,
        num_classes=config.num_classes,
        levels=tuple(levels),
        codings=(propose, CxcywhCoding(multiplier=config.attend_std)),
        scores=Scores("softmax", "first", "softmax"),
        selection=config.selection,
    )
