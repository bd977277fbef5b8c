"""Training configurations: the paper's by default, strict about what they do not know."""

from dataclasses import replace
from pathlib import Path

import pytest

import pocketdet.training as recipes
from pocketdet.errors import UsageError
from pocketdet.training.config import (
    Evaluation,
    Schedule,
    Source,
    TrainConfig,
    input_side,
    learning_rate,
    warmup_warning,
)
from pocketdet.training.config_file import changed_fields, fingerprint, read_config
from pocketdet.training.loss_config import PASSDLossConfig

SMALLEST = 'out = "run"\n[[data]]\nannotations = "train.json"\nimages = "images"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "train.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults_are_the_papers(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, SMALLEST))
    schedule, optimizer, losses = config.schedule, config.optimizer, config.losses
    assert (optimizer.kind, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.9, 1e-4)
    assert (schedule.batch, schedule.steps, schedule.learning_rate) == (64, 62_500, 0.01)
    assert schedule.sizes == (256, 320, 480)
    assert (losses.proposals, config.augment.kind) == (2000, "ssd")
    assert losses.ohem > 0
    detector = config.detector(("bolt",))
    assert detector.anchors.scales == (32, 64, 128, 256, 512)
    assert detector.postprocessing.nms == "gaussian"
    assert detector.proposals.post_nms_top_n == 200
    assert config.evaluation is None


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, SMALLEST))
    assert config.out == tmp_path / "run"
    assert config.data == (Source(tmp_path / "train.json", tmp_path / "images"),)
    table = '[evaluation]\nannotations = "val.json"\nimages = "images"\nevery = 7\n'
    evaluated = read_config(write(tmp_path, SMALLEST + table))
    assert evaluated.evaluation == Evaluation(tmp_path / "val.json", tmp_path / "images", every=7)
    table = '[evaluation]\nannotations = "VOC2007"\nsplit = "test"\n'
    evaluated = read_config(write(tmp_path, SMALLEST + table))
    assert evaluated.evaluation == Evaluation(tmp_path / "VOC2007", split="test")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "data"),
        ("out = ", "cannot be read"),
        ('out = "run"\ndata = []\n', "data is empty"),
        (SMALLEST + "colour = 1\n", "colour"),
        ("lr = 3\n" + SMALLEST, "lr"),
        (SMALLEST + "[schedule]\nsizes = [240, 320]\n", "240"),
        (SMALLEST + "[schedule]\nsizes = []\n", "sizes is empty"),
        (SMALLEST + "[schedule]\nbatch = 0\n", "batch is 0"),
        (SMALLEST + '[schedule]\ndecay = "linear"\n', "schedule.decay"),
        (SMALLEST + "[optimizer]\nema = 1.5\n", "ema is 1.5"),
        (SMALLEST + "[losses]\nrpn_negative = 0.9\n", "rpn_negative"),
        (SMALLEST + "[schedule]\nlearning_rate = nan\n", "learning_rate is nan"),
        ('nms = "none"\n' + SMALLEST, "nms"),
        (SMALLEST + '[evaluation]\nannotations = "a.json"\n', "a.json needs images"),
        (SMALLEST + '[evaluation]\nannotations = "a"\nimages = "b"\nevery = 0\n', "every is 0"),
        (SMALLEST + '[evaluation]\nannotations = "a"\nimages = "b"\nlimit = -1\n', "limit is -1"),
        (SMALLEST + '[evaluation]\nannotations = "a"\nimages = "b"\nshare = 1.0\n', "share"),
        ('out = "run"\n[[data]]\nannotations = "a.json"\n', "a.json needs images"),
        (
            SMALLEST + "[schedule]\nlerning_rate = 1\n",
            "schedule.lerning_rate: unknown field; did you mean learning_rate?",
        ),
        (SMALLEST + '[schedule]\ndecay = "cosin"\n', "did you mean cosine?"),
        (SMALLEST + "input_size = [64, 64]\n", "data.0.input_size: unknown field; input_size belongs above"),
        ("imput_size = [64, 64]\n" + SMALLEST, "imput_size: unknown field; did you mean input_size?"),
        ("zzz = 1\n" + SMALLEST, "zzz: unknown field; known: data, out"),
        ('arch = "thundernet-snet94"\n' + SMALLEST, "did you mean 'thundernet-snet49'?"),
        ("class_names = []\n" + SMALLEST, "class_names: expected"),
        ('class_names = ["a", "a"]\n' + SMALLEST, "class_names: expected"),
        ('weights = "thundernet-snet49-fud"\n' + SMALLEST, "did you mean thundernet-snet49-fod?"),
        ('out = "run"\n[[data]]\nannotations = "a"\nimages = "b"\nsplit = "c"\n', "either"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_config(write(tmp_path, text))
    assert part in str(raised.value)
    assert "train.toml" in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml: no such file"):
        read_config(tmp_path / "none.toml")
    write(tmp_path, SMALLEST)
    with pytest.raises(UsageError, match=r"did you mean train\.toml"):
        read_config(tmp_path / "tain.toml")


def test_the_fingerprint_sees_the_recipe_and_not_the_folders() -> None:
    source = Source(Path("a"), Path("b"))
    base = TrainConfig((source,), Path("out"))
    assert fingerprint(base) == fingerprint(TrainConfig((Source(Path("c"), Path("d")),), Path("elsewhere")))
    measured = Evaluation(Path("e"), Path("f"))
    assert fingerprint(base) == fingerprint(TrainConfig((source,), Path("out"), evaluation=measured))
    assert fingerprint(base) == fingerprint(TrainConfig((source,), Path("out"), nms="hard", save_every=9))
    assert fingerprint(base) != fingerprint(TrainConfig((source,), Path("out"), seed=2))
    assert fingerprint(base) != fingerprint(TrainConfig((source, source), Path("out")))


def test_images_are_measured_on_or_trained_on() -> None:
    source, measured = Source(Path("a"), hold_out=0.2), Evaluation(Path("a"), hold_out=0.2)
    config = TrainConfig((source,), Path("out"), evaluation=measured)
    kept = TrainConfig((replace(source, hold_out=0.0),), Path("out"))
    assert changed_fields(fingerprint(kept), fingerprint(config)) == ["data.hold_out was None and is [0.2]"]
    for other in (replace(source, hold_out=0.0), replace(source, split="train"), Source(Path("b"))):
        with pytest.raises(ValueError, match=r"evaluation\.hold_out = 0\.2: expected a \[\[data\]\] table"):
            replace(config, data=(other,))


def test_a_changed_field_is_named_unless_a_resumed_run_may_change_it() -> None:
    source = Source(Path("a"), Path("b"))
    base = TrainConfig((source,), Path("out"))
    longer = replace(base, schedule=Schedule(images=9, learning_rate=0.5), class_names=("a",))
    assert changed_fields(fingerprint(base), fingerprint(longer)) == []
    other = replace(longer, base_size=2.0, seed=7, passd=PASSDLossConfig(negatives=5.0))
    assert changed_fields(fingerprint(base), fingerprint(other)) == [
        "base_size was None and is 2.0",
        "passd.negatives was 3.0 and is 5.0",
        "seed was 1 and is 7",
    ]
    mixed = replace(base, data=(source, source))
    assert changed_fields(fingerprint(mixed), fingerprint(base)) == ["data.share was [1.0, 1.0] and is [1.0]"]


@pytest.mark.parametrize(
    ("images", "warmup", "warned"), [(64, 2, True), (64, 1, True), (64, 0, False), (192, 2, False)]
)
def test_a_warm_up_that_exceeds_the_run_is_a_warning(images: int, warmup: int, warned: bool) -> None:
    sentence = warmup_warning(Schedule(images=images, batch=64, warmup_steps=warmup))
    assert bool(sentence) is warned
    assert not warned or "the run has 1 step (64 images in batches of 64)" in sentence


def test_step_decay_divides_by_ten_at_half_and_three_quarters() -> None:
    schedule = Schedule(images=6400, batch=64, warmup_steps=10)
    rates = [learning_rate(schedule, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.001)
    assert rates[9:50] == pytest.approx([0.01] * 41)
    assert rates[50:75] == pytest.approx([0.001] * 25)
    assert rates[75:] == pytest.approx([0.0001] * 25)


def test_cosine_falls_to_zero() -> None:
    schedule = Schedule(images=1000, batch=1, warmup_steps=0, decay="cosine", learning_rate=2.0)
    rates = [learning_rate(schedule, step) for step in range(1000)]
    assert rates[0] == 2.0
    assert rates[500] == pytest.approx(1.0)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-5


def test_sizes_are_drawn_from_their_part_of_the_run() -> None:
    schedule = Schedule(images=900, batch=1, sizes=(256, 320, 480), early_sizes=(128,), early_share=1 / 3)
    sides = [input_side(schedule, 1, step) for step in range(900)]
    assert set(sides[:300]) == {128}
    assert set(sides[300:]) == {256, 320, 480}
    assert min(sides[300:].count(side) for side in (256, 320, 480)) > 150
    assert sides == [input_side(schedule, 1, step) for step in range(900)]
    assert sides != [input_side(schedule, 2, step) for step in range(900)]


@pytest.mark.parametrize(
    "name", ["paper_coco", "paper_voc", "fod_a_snet49", "fod_a_snet49_scenes", "fod_a_snet146"]
)
def test_the_recipes_can_be_read(name: str) -> None:
    config = read_config(Path(recipes.__file__).parent / "recipes" / f"{name}.toml")
    assert config.detector(("bolt",)).arch == config.arch
    assert config.evaluation is not None
