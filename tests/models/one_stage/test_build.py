import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from pocketdet.errors import UsageError
from pocketdet.models.build import ONE_STAGE, build_one_stage
from pocketdet.spec.one_stage import OneStageSpec


@pytest.mark.parametrize("arch", ONE_STAGE)
def test_every_map_has_its_slot(arch):
    """Outputs of an untypical size are read completely by the description, on the meta device."""
    with torch.device("meta"):
        model = build_one_stage(arch, 5, (224, 352))
        out = model(torch.zeros(1, 3, 224, 352))
    spec, read = model.spec(), {}
    for level in spec.levels:
        for slot, elements in (
            (level.classes, 5 + (spec.scores.background != "none")),
            *((slot, 4) for slot in level.boxes),
            *([] if level.objectness is None else [(level.objectness, 2 if "passd" in arch else 1)]),
        ):
            assert out[slot.output].shape[2:] == level.grid
            channels = read.setdefault(slot.output, set())
            for a in range(len(level.anchors)):
                channels |= {
                    slot.first + a * slot.anchor_channels + k * slot.element_step for k in range(elements)
                }
    assert {name: set(range(x.shape[1])) for name, x in out.items()} == read


@pytest.mark.parametrize("arch", ONE_STAGE)
def test_descriptions_survive_json(arch):
    """As they will in a manifest: every number, by pydantic's strict rules."""
    with torch.device("meta"):
        spec = build_one_stage(arch, 5, (224, 352)).spec()
    adapter = TypeAdapter(OneStageSpec)
    text = adapter.dump_json(spec)
    assert adapter.validate_json(text) == spec
    with pytest.raises(ValidationError, match="nonsense"):
        adapter.validate_json(text.replace(b'"num_classes"', b'"nonsense":1,"num_classes"', 1))
    with pytest.raises(ValidationError, match="encoding"):
        adapter.validate_json(text.replace(b'"encoding":"cxcywh"', b'"encoding":"spline"', 1))


def test_unknown():
    with pytest.raises(UsageError, match="did you mean 'passd-vgg16'"):
        build_one_stage("passd-vgg", 5, (320, 320))
