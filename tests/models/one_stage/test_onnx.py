"""Every detector leaves torch as one ONNX graph of plain operators; deformable convolutions stay whole."""

import contextlib
import io
import warnings
from collections import Counter

import onnx
import onnxruntime
import pytest
import torch

from pocketdet.models.backbones import MobileNetConfig, ResNetConfig, VGGConfig
from pocketdet.models.lifelike import lifelike
from pocketdet.models.mimicdet import MimicDet, MimicDetConfig
from pocketdet.models.passd import PASSD, PASSDConfig
from pocketdet.models.retinanet import LW_RETINANET, RetinaNet, RetinaNetConfig

SIZE = (64, 64)
TINY = ResNetConfig((1, 1, 1, 1), 4)


def retinanet():
    config = RetinaNetConfig(2, SIZE, TINY, width=4, depth=1, light=LW_RETINANET["v3"])
    return RetinaNet(config), 0


def passd(backbone):
    return PASSD(PASSDConfig(backbone, 2, SIZE, extra_width=8, width=4)), 12


def mimicdet():
    return MimicDet(MimicDetConfig(2, SIZE, TINY, width=4, feature_width=6)).for_inference(), 5


BUILDERS = [
    retinanet,
    lambda: passd(MobileNetConfig(4)),
    lambda: passd(VGGConfig(2)),
    mimicdet,
]


@pytest.mark.parametrize("build", BUILDERS)
def test_onnxruntime_agrees(build):
    model, deformable = build()
    lifelike(model, SIZE, seed=4)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(model, (torch.zeros(1, 3, *SIZE),), dynamo=True, opset_version=19)
    proto = program.model_proto
    onnx.checker.check_model(proto, full_check=True)
    kinds = Counter(node.op_type for node in proto.graph.node)
    assert kinds["DeformConv"] == deformable
    assert not kinds.keys() & {"GatherElements", "GridSample", "NonZero", "Loop", "If"}
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for seed in (0, 1):
        image = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            expected = model(image)
        found = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        for (name, reference), ours in zip(expected.items(), found, strict=True):
            limit = 1e-3 * float(reference.abs().max())
            assert float((torch.from_numpy(ours) - reference).abs().max()) <= limit, name
