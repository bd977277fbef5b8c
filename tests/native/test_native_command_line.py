"""pocketdet-run: usage, exit codes, and the record of a bench."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from native_runner import Runner

from pocketdet.runtime.pipeline import TWO_STAGE_STAGES as STAGES


@pytest.mark.parametrize("command", ["detect", "verify", "bench"])
def test_help_teaches(runner: Runner, command: str) -> None:
    done = runner.run(command, "--help")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert text.startswith(f"pocketdet-run {command} BUNDLE")
    assert "--precision" in text
    assert max(map(len, text.splitlines())) <= 125


def test_help_of_all_and_version(runner: Runner) -> None:
    assert b"First steps on a phone" in runner.run("--help").stdout
    assert runner.run("--version").stdout.startswith(b"pocketdet-run 0.")
    assert runner.run().returncode == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sing"], "'sing' is not a command"),
        (["detect"], "expected a bundle and one or more images"),
        (["detect", "{bundle}"], "expected a bundle and one or more images"),
        (["detect", "{bundle}", "{nowhere}"], "the image cannot be read: No such file"),
        (["detect", "{bundle}", "{text}"], "expected a JPEG, a PNG or a binary PPM"),
        (["detect", "{bundle}", "{text}", "--raw", "4"], "expected WIDTHxHEIGHT"),
        (["detect", "{bundle}", "{text}", "--raw", "4x4"], "expected 48 bytes"),
        (["detect", "{bundle}", "{text}", "--format", "bgr"], "--format is for --raw images"),
        (["detect", "{bundle}", "{text}", "--threads", "4"], "built for single-thread inference"),
        (["detect", "{bundle}", "{text}", "--nms", "soft"], "expected one of hard, linear, gaussian"),
        (["verify", "{nowhere}"], "no such bundle"),
        (["verify", "{text}"], "expected a bundle as a folder"),
        (["verify", "{bundle}", "--digest", "0123"], "expected the bundle 0123, found "),
        (["verify", "{bundle}", "--rois", "3"], "--rois is not one of its options"),
        (["bench", "{bundle}", "--cpu", "1000"], "the system refuses to pin to it"),
        (["bench", "{bundle}", "--frames", "0"], "expected a whole number from 1"),
        (["bench", "{bundle}", "--seconds", "inf"], "expected a number from 0.001"),
    ],
)
def test_bad_usage_is_one_sentence(
    runner: Runner, small_bundle: Path, tmp_path: Path, words: list[str], sentence: str
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("no image")
    places = {"bundle": small_bundle, "nowhere": tmp_path / "nowhere", "text": text}
    assert sentence in runner.error(*[word.format(**places) for word in words])


def test_golden_that_is_not_there(runner: Runner, tiny_bundle: Path) -> None:
    assert "golden stage 'image_rows'" in runner.error("verify", tiny_bundle)


def test_output_that_cannot_be_written(runner: Runner, small_bundle: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*runner.command, "verify", str(small_bundle)], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert b"the output cannot be written" in done.stderr


def test_a_bench_keeps_every_frame(runner: Runner, small_bundle: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    words = ["--frames", "25", "--warmup", "2", "--cpu", str(cpu), "--rois", "50"]
    record = runner.json("bench", small_bundle, *words)
    samples = record["samples"]
    times = np.array(samples["milliseconds"])
    assert tuple(record["stages"]) == STAGES
    assert times.shape == (25, len(STAGES))
    assert (times > 0).all()
    assert {len(values) for values in samples.values()} == {25}
    assert record["affinity"] == record["affinity_after"] == [cpu]
    assert set(samples["cpu_before"]) == set(samples["cpu_after"]) == {cpu}
    assert record["measured_s"] * 1e3 > times.sum()
    assert (np.diff(samples["started_s"]) * 1e3 >= times.sum(axis=1)[:-1]).all()
    assert max(samples["rois"]) <= 50
    assert record["options"] == {"warmup": 2, "frames": 25, "seconds": None, "rois": 50, "cpu": cpu}
    for when in ("before", "after"):
        assert record[when]["sensors"]["jiffies"]
        assert record[when]["usage"]["user_s"] > 0
    assert record["clocks"]
    assert record["load_ms"] > 0
    assert record["first_frame_ms"] > 0
    assert "layers" not in record
    assert record["machine"]["architecture"] == os.uname().machine
    assert record["engine"]["ncnn"].startswith("ncnn 1.0.")
    assert record["engine"]["own_layers"] is True


def test_a_bench_of_the_layers_of_ncnn_says_so(runner: Runner, small_bundle: Path) -> None:
    words = ("bench", small_bundle, "--frames", "1", "--warmup", "0", "--ncnn-layers")
    assert runner.json(*words)["engine"]["own_layers"] is False


def test_a_bench_ends_in_time(runner: Runner, small_bundle: Path) -> None:
    record = runner.json("bench", small_bundle, "--seconds", "0.3", "--warmup", "0")
    assert record["options"]["frames"] is None
    assert record["measured_s"] >= 0.3
    started = record["samples"]["started_s"]
    assert len(started) >= 1
    assert all(at < 0.3 for at in started[:-1])  # after the time is over at most the frame that it ended in


def test_frames_only_leave_out_the_machine(runner: Runner, small_bundle: Path) -> None:
    record = runner.json("bench", small_bundle, "--frames", "2", "--warmup", "0", "--frames-only")
    assert not record.keys() & {"machine", "affinity", "affinity_after", "before", "after"}
    assert record["clocks"] == []
    assert len(record["samples"]["milliseconds"]) == 2


def test_layers_are_timed_in_one_frame_of_each_pair(runner: Runner, small_bundle: Path) -> None:
    plain = runner.json("bench", small_bundle, "--frames", "6", "--warmup", "0")
    record = runner.json("bench", small_bundle, "--frames", "6", "--warmup", "0", "--layers")
    assert record["samples"]["detections"] == plain["samples"]["detections"]
    assert record["samples"]["rois"] == plain["samples"]["rois"]
    layers = record["layers"]
    assert layers["timed"] == [True, False, False, True, True, False]
    times, names = np.array(layers["nanoseconds"]), layers["names"]
    assert times.shape == (3, len(names))
    assert (times > 0).all()
    stages = np.array(record["samples"]["milliseconds"])[layers["timed"]]
    for stage in ("features", "head"):
        mine = [layer["stage"] == stage for layer in names]
        # the layers of a stage are timed one after the other, within its own two readings of the clock
        assert (times[:, mine].sum(axis=1) <= 1e6 * stages[:, STAGES.index(stage)] + 1).all()
    assert record["first_frame_ms"] == pytest.approx(sum(record["samples"]["milliseconds"][0]))


def test_pairs_with_and_without_layers_have_the_same_image(
    runner: Runner, small_bundle: Path, image_files: list[Path]
) -> None:
    files = image_files[4:6]
    alone = [len(i["detections"]) for i in runner.json("detect", small_bundle, *files)["images"]]
    words = ("--frames", "8", "--warmup", "0", "--layers")
    record = runner.json("bench", small_bundle, *files, *words)
    assert record["samples"]["detections"] == [n for n in alone for _ in range(2)] * 2


def test_images_take_turns(runner: Runner, small_bundle: Path, image_files: list[Path]) -> None:
    files = image_files[4:8]
    alone = [len(i["detections"]) for i in runner.json("detect", small_bundle, *files)["images"]]
    record = runner.json("bench", small_bundle, *files, "--frames", "8", "--warmup", "0")
    assert record["samples"]["detections"] == alone * 2
    assert [i["image"] for i in record["images"]] == [str(f) for f in files]


def test_memory_does_not_grow_with_frames(runner: Runner, small_bundle: Path) -> None:
    record = runner.json("bench", small_bundle, "--frames", "400", "--warmup", "20")
    before, after = (record[when]["usage"]["most_memory_kib"] for when in ("before", "after"))
    assert after - before < 2048


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_fifo_or_a_device_is_refused_and_never_blocks(
    runner: Runner, small_bundle: Path, tmp_path: Path, kind: str
) -> None:
    image = tmp_path / "image.png"
    if kind == "fifo":
        os.mkfifo(image)
    else:
        image.symlink_to("/dev/zero")
    assert "not a regular file" in runner.error("detect", small_bundle, image)
