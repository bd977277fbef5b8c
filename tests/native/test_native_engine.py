"""`Detector(bundle, engine="native")`: the detections of the other engines, from libpocketdet.so."""

import gc
import json
import pickle
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_double
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from command_line import Ending, command
from native_runner import by_python, read_ppm
from numpy.typing import NDArray
from same_detections import difference

from pocketdet.errors import BundleError, EngineError, UsageError
from pocketdet.runtime import _core
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.detections import Detections
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines import NativeEngine, native_library
from pocketdet.runtime.engines.fork_map import map_in_forks
from pocketdet.runtime.engines.native_library import NativeLibrary
from pocketdet.runtime.native_build import library_path
from pocketdet.runtime.pipeline import Boxes, Stopwatch
from pocketdet.runtime.verification import golden_checks

__all__ = ["command"]

Images = list[NDArray[np.uint8]]

SELECTION = [
    {},
    {"score_threshold": 0.3},
    {"nms": "hard", "nms_iou": 0.3},
    {"nms": "linear"},
    {"nms": "gaussian", "score_threshold": 0.1},
    {"max_detections": 3},
    {"precision": "fp16"},
]


@pytest.fixture(autouse=True)
def _built() -> None:
    if not library_path().is_file():
        pytest.skip(needs.NATIVE)


@pytest.fixture
def both(small_bundle: Path, tiny_one_stage_template: Path) -> tuple[Path, Path]:
    """A two-stage and a one-stage detector."""
    return small_bundle, tiny_one_stage_template


def assert_same(bundle: Path, images: Images, **options: Any) -> None:
    expected, found = (by_python(bundle, images, engine=e, **options) for e in ("ncnn", "native"))
    differs = difference(expected, found, pixels=1e-3, score=1e-5)
    assert differs.lost == 0, differs
    assert differs.total > 0


@pytest.mark.parametrize("options", [*SELECTION, {"rois": 7}], ids=str)
def test_a_two_stage_detector(small_bundle: Path, image_files: list[Path], options: dict[str, Any]) -> None:
    images = list(map(read_ppm, image_files))
    assert_same(small_bundle, images if not options else images[:4], **options)


@pytest.mark.parametrize("options", SELECTION, ids=str)
def test_a_one_stage_detector(
    tiny_one_stage_template: Path, image_files: list[Path], options: dict[str, Any]
) -> None:
    assert_same(tiny_one_stage_template, list(map(read_ppm, image_files)), **options)


def test_a_letterboxed_bundle_in_a_zip_file(
    tiny_bundle_template: Path, sample_images: Images, tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "tiny"), "zip", tiny_bundle_template)
    assert_same(Path(archive), sample_images)


def test_a_detector_describes_itself_as_with_ncnn(both: tuple[Path, Path], sample_images: Images) -> None:
    for path in both:
        with Detector(path, engine="native") as native, Detector(path, engine="ncnn") as ncnn:
            assert repr(native) == repr(ncnn).replace(", ncnn>", ", native>")
            assert native.stages == ncnn.stages
            assert native.precision == ncnn.precision
            assert native.runs_in == ncnn.runs_in
            assert native.requested_precision == ncnn.requested_precision
            assert native.score_threshold == ncnn.score_threshold
            for image in sample_images[:3]:
                assert native.pipeline.count_proposals(image) == ncnn.pipeline.count_proposals(image)
                spans = native.detect(image).milliseconds
                assert tuple(spans) == native.stages
                assert all(span >= 0 for span in spans.values())


def test_options_are_reported(small_bundle: Path) -> None:
    with Detector(small_bundle, engine="native", precision="fp16", score_threshold=0.25) as detector:
        assert (detector.requested_precision, detector.score_threshold) == ("fp16", 0.25)
        assert detector.options.engine == "native"
        with Detector(small_bundle, engine="ncnn", precision="fp16") as ncnn:
            assert detector.precision_note == ncnn.precision_note
        assert detector.pipeline_at(0.5).score_threshold == 0.5


def test_it_is_the_default_where_it_can_run(
    tiny_bundle_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(**options: Any) -> str:
        with Detector(tiny_bundle_template, **options) as detector:
            return detector.engine_name

    assert chosen() == "native"
    assert chosen(threads=2) == "ncnn"
    assert chosen(engine="ncnn") == "ncnn"
    with load_bundle(tiny_bundle_template) as bundle:
        engine = Detector(bundle, engine="ncnn").engine
        assert Detector(bundle, engine=engine).engine is engine
    monkeypatch.setenv("POCKETDET_LIBRARY", "/nowhere/libpocketdet.so")
    native_library.load_library.cache_clear()
    try:
        assert chosen() == "ncnn"
    finally:
        native_library.load_library.cache_clear()


def test_layouts_of_images(small_bundle: Path, sample_images: Images) -> None:
    image = sample_images[0]
    with Detector(small_bundle, engine="native") as detector:
        expected = detector.detect(image)
        assert len(expected) > 0
        bgr = np.ascontiguousarray(image[..., ::-1])
        assert detector.detect(bgr, color="BGR") == expected
        assert detector.detect(np.asfortranarray(image)) == expected
        padded = np.pad(image, ((0, 0), (0, 9), (0, 0)))
        found = detector.pipeline.run(padded[:, :-9], Stopwatch())
        np.testing.assert_array_equal(found.boxes, expected.boxes)


def test_the_golden_test(both: tuple[Path, Path]) -> None:
    for path in both:
        with load_bundle(path) as bundle:
            (checks,) = golden_checks(bundle, {"native": Detector(bundle, engine="native")}).values()
        assert [check.name for check in checks] == ["decode", "resize", "normalise", "image to boxes"]
        assert all(check.ok for check in checks)


def test_what_it_has_not_is_refused(both: tuple[Path, Path], sample_images: Images) -> None:
    two_stage, one_stage = both
    with pytest.raises(UsageError, match="^threads=2: engine 'native' computes on one thread; .*'ncnn'$"):
        Detector(two_stage, engine="native", threads=2)
    with pytest.raises(UsageError, match="rois.*one-stage"):
        Detector(one_stage, engine="native", rois=5)
    with Detector(two_stage, engine="native") as detector:
        with pytest.raises(UsageError, match="gives no inputs of networks: use engine 'ncnn'"):
            detector.pipeline.network_inputs(sample_images[0])
        with pytest.raises(EngineError, match="no outputs of graph 'head': use engine 'ncnn'"):
            detector.engine.run("head", {})


def test_a_copy_that_was_changed_is_refused_under_its_own_name(tiny_bundle: Path) -> None:
    with load_bundle(tiny_bundle) as bundle:
        weights = bundle.path("features.ncnn.bin")
        weights.write_bytes(bytes([weights.read_bytes()[0] ^ 1]) + weights.read_bytes()[1:])
        with pytest.raises(BundleError, match="features.ncnn.bin") as caught:
            Detector(bundle, engine="native")
    assert str(caught.value).startswith(str(tiny_bundle))


def test_a_closed_bundle_is_one_sentence(tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    bundle.close()
    with pytest.raises(BundleError, match="the bundle is closed; load it again$"):
        Detector(bundle, engine="native")


def test_a_library_that_cannot_be_used_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match=r"absent\.so: make native builds it"):
        NativeLibrary(tmp_path / "absent.so")
    text = tmp_path / "text.so"
    text.write_text("not a library")
    with pytest.raises(EngineError, match=r"text\.so: cannot be loaded"):
        NativeLibrary(text)
    with pytest.raises(EngineError, match="cannot be loaded as the library of engine 'native'"):
        NativeLibrary(Path(_core.__file__))  # a library without the functions

    class Longer(native_library.Options):
        _fields_ = (("of_tomorrow", c_double),)

    with monkeypatch.context() as patch:
        patch.setattr(native_library, "Options", Longer)
        with pytest.raises(EngineError, match="found another build"):
            NativeLibrary(library_path())
    monkeypatch.setattr(native_library, "__version__", "0.0.7")
    with pytest.raises(EngineError, match=r"of this pocketdet, 0\.0\.7, found another build"):
        NativeLibrary(library_path())


def test_threads_detect_at_once(both: tuple[Path, Path], sample_images: Images) -> None:
    for path in both:
        with Detector(path, engine="native") as detector, ThreadPoolExecutor(4) as pool:
            alone = list(map(detector.detect, sample_images * 3))
            assert list(pool.map(detector.detect, sample_images * 3)) == alone


def test_closing_does_not_disturb_a_running_call(small_bundle: Path, sample_images: Images) -> None:
    detector = Detector(small_bundle, engine="native")
    expected, found = detector.detect(sample_images[0]), []
    inside, closed = threading.Event(), threading.Event()
    run_all = detector.pipeline.run

    def run(image: NDArray[np.uint8], watch: Stopwatch) -> Boxes:
        inside.set()
        assert closed.wait(60)
        return run_all(image, watch)

    detector.pipeline.run = run  # type: ignore[method-assign]
    call = threading.Thread(target=lambda: found.append(detector.detect(sample_images[0])))
    call.start()
    assert inside.wait(60)
    detector.close()
    closed.set()
    call.join()
    assert found == [expected]
    with pytest.raises(UsageError, match="the detector is closed"):
        detector.detect(sample_images[0])


def test_detectors_are_freed(tiny_bundle_template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = native_library.load_library()
    free, freed = library["detector_free"], []
    counted = {"detector_free": lambda pointer: (freed.append(pointer), free(pointer))}
    monkeypatch.setattr(library, "_functions", {**library._functions, **counted})
    with load_bundle(tiny_bundle_template) as bundle:
        for _ in range(3):
            Detector(bundle, engine="native").close()
    gc.collect()
    assert len(freed) == 3


def test_forked_processes(small_bundle: Path, sample_images: Images) -> None:
    def detect(number: int) -> Detections:
        return detector.detect(sample_images[number])

    with Detector(small_bundle, engine="native") as detector:
        expected = detector.detect_batch(sample_images[:4])
        with _in_a_call(detector, sample_images[0]):  # whose copy of the networks a fork must not wait for
            assert list(map_in_forks(detect, range(4), 2)) == expected


class _in_a_call:  # noqa: N801 (read as a phrase)
    """Keeps a thread that detects over and over."""

    def __init__(self, detector: Detector, image: NDArray[np.uint8]) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(detector, image))

    def _work(self, detector: Detector, image: NDArray[np.uint8]) -> None:
        while not self._ended.is_set():
            detector.detect(image)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def test_a_pickled_detector(small_bundle: Path, sample_images: Images) -> None:
    with Detector(small_bundle, engine="native", nms="linear") as detector:
        data, expected = pickle.dumps(detector), detector.detect(sample_images[0])
    with pickle.loads(data) as restored:
        assert isinstance(restored.engine, NativeEngine)
        assert restored.detect(sample_images[0]) == expected


def test_the_command_line(command: Callable[..., Ending], small_bundle: Path) -> None:
    def detections(engine: str) -> Any:
        image = small_bundle / "golden" / "image.png"
        ending = command("detect", small_bundle, image, "--no-save", "--json", "--engine", engine)
        assert ending.code == 0, ending.err
        document = json.loads(ending.out)
        assert document["engine"] == engine
        return document

    native, ncnn = detections("native"), detections("ncnn")
    assert native.keys() == ncnn.keys()
    assert native["precision"] == ncnn["precision"]
    ending = command("detect", small_bundle, "x.png", "--engine", "native", "--threads", "2")
    assert (ending.code, ending.err.count("\n")) == (2, 1)
    assert "threads=2: engine 'native' computes on one thread" in ending.err


def test_an_engine_of_a_loaded_bundle_serves_other_options(
    tiny_bundle_template: Path, sample_images: Images
) -> None:
    def found(bundle: Bundle, **options: Any) -> Detections:
        return Detector(bundle, **options).detect(sample_images[0])

    with load_bundle(tiny_bundle_template) as bundle:
        engine = Detector(bundle, engine="native").engine
        assert found(bundle, engine=engine, max_detections=2) == found(
            bundle, engine="native", max_detections=2
        )
