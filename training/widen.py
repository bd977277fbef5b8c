"""`python -m pocketdet.training.widen CONFIG GIVEN OUT`: a ThunderNet that starts as a narrower one.

The wide backbone computes every channel of the narrow one, to the same values, beside new channels that no
old one reads yet; training finds uses for them. Net2Net (Chen et al., ICLR 2016, section 2.2) keeps the
function by copies of channels; here the new ones are random, which need no noise to become different.

A unit of ShuffleNetV2 passes the first half of its channels on and computes the second half from the rest. So
a channel must have a place where the wide network passes it on as often as the narrow one does.

SNet49 has a Conv5 that the larger backbones lack. CEM's two layers on C5 are then fitted to their outputs by
least squares, over images of the run. OUT is a checkpoint of the whole detector, for `weights` of the run.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from pocketdet.errors import UsageError, error_exit_code
from pocketdet.models.build import AnyDetector, build_detector, config_of
from pocketdet.models.checkpoint import load_detector, save_checkpoint
from pocketdet.models.snet import BasicUnit, DownUnit, SNet
from pocketdet.models.thundernet import ThunderNet
from pocketdet.models.zoo import weights_file
from pocketdet.training.augment import make_sample
from pocketdet.training.batches import to_batch
from pocketdet.training.config import TrainConfig
from pocketdet.training.config_file import read_config
from pocketdet.training.data import Data, make_augment_pipeline, read_data
from pocketdet.training.device import keep_freed_memory
from pocketdet.training.start import initialise

BATCH = 16
BATCHES = 12  # for the least squares: 12 x 16 images of 20x20 or more cells against some 500 unknowns
RIDGE = 1e-3  # of the mean variance of a channel


def passes(place: int, half: int, units: int) -> int:
    """How many of the next `units` units pass on the channel at `place`; passed on, it doubles its place."""
    count = 0
    while count < units and place < half:
        count, place = count + 1, 2 * place
    return count


def choose_places(wanted: Sequence[int], half: int, wide_half: int, units: int) -> list[int]:
    """Places in a wide map for channels that units of the narrow network compute.

    Args:
        wanted: their places in the narrow map.
        half: half of the channels of the narrow map.
        wide_half: half of the channels of the wide map.
        units: how many units follow in the stage.

    Returns:
        A place of the same parity (of the same branch), as often passed on, for each; all different.

    Raises:
        UsageError: if there are too few.
    """
    chosen: list[int] = []
    for place in wanted:
        count = passes(place, half, units)
        free = (
            x
            for x in range(place % 2, 2 * wide_half, 2)
            if passes(x, wide_half, units) == count and x not in chosen
        )
        found = next(free, None)
        if found is None:
            raise UsageError(f"{2 * half} channels do not fit among {2 * wide_half}, unit by unit")
        chosen.append(found)
    return chosen


@torch.no_grad()
def widen(given: ThunderNet, wide: ThunderNet) -> None:
    """Take over the weights of a narrower detector with the same classes, anchors, parts and head.

    Then C4 of `wide` has all channels of C4 of `given` and its maps are the same, but for what CEM takes from
    C5 where only `given` has a Conv5: see `fit_context`. Raises `UsageError` if it does not fit.
    """
    theirs, own = given.config, wide.config
    if (theirs.class_names, theirs.anchors, theirs.parts, theirs.head) != (
        own.class_names,
        own.anchors,
        own.parts,
        own.head,
    ):
        raise UsageError(f"{theirs.arch} has other classes, anchors, parts or another head than {own.arch}")
    if not theirs.parts.context_enhancement:
        raise UsageError("a detector without CEM cannot be widened")
    c4, c5 = _widen_backbone(given.backbone, wide.backbone)
    _copy_layer(given.cem.c4, wide.cem.c4, c4)
    if given.backbone.conv5 is None:
        _copy_layer(given.cem.c5, wide.cem.c5, c5)
        theirs_glb, own_glb = given.cem.glb.state_dict(), wide.cem.glb.state_dict()
        own_glb["weight"].zero_()
        own_glb["weight"][:, c5] = theirs_glb["weight"]
        own_glb["bias"].copy_(theirs_glb["bias"])
    for name in ("rpn", "sam", "head"):
        if hasattr(given, name):
            getattr(wide, name).load_state_dict(getattr(given, name).state_dict())


def _widen_backbone(given: SNet, wide: SNet) -> tuple[Tensor, Tensor]:
    """Returns the places of the narrow channels in C4 and in the output of stage 4."""
    if any(a >= b for a, b in zip(given.channels.stages, wide.channels.stages, strict=True)):
        raise UsageError("the detector to widen is not narrower in every stage")
    places = torch.arange(given.channels.conv1)
    _copy_layer(given.conv1, wide.conv1, None, places)
    maps = []
    for name in ("stage2", "stage3", "stage4"):
        places = _widen_stage(getattr(given, name), getattr(wide, name), places)
        maps.append(places)
    return maps[1], maps[2]


def _widen_stage(given: nn.Module, wide: nn.Module, places: Tensor) -> Tensor:
    """`places` of the narrow input in the wide one -> those of the narrow output."""
    units, wide_units = _units(given), _units(wide)
    half, wide_half = (_parts(stage[0].branch[2])[0].out_channels for stage in (units, wide_units))
    inner, left = torch.arange(half), len(units)
    for unit, wider in zip(units, wide_units, strict=True):
        after, left = [0] * (2 * half), left - 1
        if isinstance(unit, BasicUnit):
            after[0::2] = [2 * int(x) for x in places[:half]]
            read = places[half:] - wide_half
        else:
            after[0::2] = choose_places(range(0, 2 * half, 2), half, wide_half, left)
            read = places
            assert isinstance(wider, DownUnit)
            _copy_layer(unit.shortcut[0], wider.shortcut[0], None, places)
            _copy_layer(unit.shortcut[1], wider.shortcut[1], places, torch.tensor(after[0::2]) // 2)
        after[1::2] = choose_places(range(1, 2 * half, 2), half, wide_half, left)
        _copy_layer(unit.branch[0], wider.branch[0], read, inner)
        _copy_layer(unit.branch[1], wider.branch[1], None, inner)
        _copy_layer(unit.branch[2], wider.branch[2], inner, torch.tensor(after[1::2]) // 2)
        places = torch.tensor(after)
    return places


def _units(stage: nn.Module) -> list[BasicUnit | DownUnit]:
    return [unit for unit in stage.children() if isinstance(unit, BasicUnit | DownUnit)]


def _parts(layer: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """The convolution and the batch norm of a `conv_bn`."""
    conv, norm = list(layer.children())[:2]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return conv, norm


def _copy_layer(given: nn.Module, wide: nn.Module, read: Tensor | None, write: Tensor | None = None) -> None:
    """A `conv_bn`: which input and output channels of `wide` are those of `given`.

    None stands for all. The channels that are written read no others.
    """
    (conv, norm), (wide_conv, wide_norm) = _parts(given), _parts(wide)
    rows = torch.arange(conv.out_channels) if write is None else write
    columns = torch.arange(conv.weight.shape[1]) if read is None else read
    wide_conv.weight[rows] = 0
    wide_conv.weight[rows[:, None], columns[None]] = conv.weight
    own = wide_norm.state_dict()
    for name, values in norm.state_dict().items():
        if values.ndim:
            own[name][rows] = values


@torch.no_grad()
def fit_context(given: ThunderNet, wide: ThunderNet, batches: Sequence[Tensor]) -> None:
    """Fit CEM's layers on C5 to what they gave in `given`; also gives new channels their statistics.

    Args:
        given: the narrow detector, in eval mode.
        wide: the wide detector after `widen`; its backbone is left in eval mode.
        batches: normalised images (N, 3, H, W), the statistics of which are used as in training.
    """
    wide.backbone.train()
    pairs = [(wide.backbone(images)[1], given.backbone(images)[1]) for images in batches]
    wide.backbone.eval()
    conv, norm = _parts(given.cem.c5)
    wide_conv, wide_norm = _parts(wide.cem.c5)
    kernel, offset = _least_squares([(a, conv(b)) for a, b in pairs])
    wide_conv.weight.copy_(kernel)
    wide_norm.load_state_dict(norm.state_dict())
    wide_norm.state_dict()["running_mean"] -= offset
    pool = given.cem.pool
    kernel, offset = _least_squares([(pool(a), given.cem.glb(pool(b))) for a, b in pairs])
    wide.cem.glb.load_state_dict({"weight": kernel, "bias": offset})


def _least_squares(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Pairs of maps (N, a, h, w), (N, b, h, w) -> kernel (b, a, 1, 1) and bias (b,) from one to the other."""
    x, y = (torch.cat([p[i].permute(1, 0, 2, 3).flatten(1) for p in pairs], dim=1).double() for i in (0, 1))
    middle_x, middle_y = x.mean(dim=1, keepdim=True), y.mean(dim=1, keepdim=True)
    x, y = x - middle_x, y - middle_y
    gram = x @ x.T
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    kernel = torch.linalg.solve(gram, x @ y.T).T
    return kernel[:, :, None, None].float(), (middle_y - kernel @ middle_x)[:, 0].float()


def views(setup: TrainConfig, data: Data) -> list[Tensor]:
    """Batches of normalised images (16, 3, side, side) as the end of a run has them."""
    pipeline, side = make_augment_pipeline(setup, data.training), setup.schedule.sizes[0]
    rule, batches = setup.detector(data.class_names).preprocessing, []
    for first in range(0, BATCH * BATCHES, BATCH):
        made = [make_sample(pipeline, setup.seed, n, 1.0, side) for n in range(first, first + BATCH)]
        batches.append(to_batch(made, [0] * BATCH, rule, torch.device("cpu"))[0])
    return batches


def start_of(setup: TrainConfig, given: AnyDetector) -> ThunderNet:
    """The detector of a run, widened from `given`. Raises `UsageError` if it cannot be, or for bad data."""
    data = read_data(setup, skip_bad=False)
    wide = build_detector(setup.detector(data.class_names))
    if not isinstance(given, ThunderNet) or not isinstance(wide, ThunderNet):
        raise UsageError(
            f"{config_of(given).arch} cannot be widened to {setup.arch}: expected two ThunderNets"
        )
    initialise(wide, setup.seed, setup.background_bias)
    widen(given, wide)
    if given.backbone.conv5 is not None:
        fit_context(given, wide, views(setup, data))
    return wide


@error_exit_code
def main(arguments: list[str] | None = None) -> int:
    """Widen a checkpoint for a run; returns the process exit code."""
    parser = argparse.ArgumentParser(prog="python -m pocketdet.training.widen", description=__doc__)
    parser.add_argument("config", type=Path, help="the TOML file of the run that will start from OUT")
    parser.add_argument("given", type=Path, help="weights of a smaller backbone, a file or a zoo name")
    parser.add_argument("out", type=Path, help="where to write the checkpoint (.safetensors)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    setup, given = read_config(options.config), load_detector(weights_file(options.given))
    wide = start_of(setup, given)
    save_checkpoint(options.out, wide, {"widened from": options.given.name})
    sys.stdout.write(f"wrote {options.out}: {setup.arch}, which starts as {config_of(given).arch}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
