"""The camera app behind the real adb client: requests, answers, and everything that can go wrong on the way.

`am`, `pm` and `pidof` of the device are programs of this machine. In one test, where android_demo/check/run
has built the library for it, the app's own Java answers; in the others the Python runner does.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from adb_device import AdbDevice, connecting
from command_line import Ending, command, wait_until

from pocketdet.benchmarks.devices import BenchRequest, BenchResults, run_devices
from pocketdet.benchmarks.images import describe_image
from pocketdet.benchmarks.plan import BenchPlan
from pocketdet.benchmarks.record import Throttling
from pocketdet.benchmarks.record_io import read_record
from pocketdet.benchmarks.targets import open_session, open_target, parse_targets, through_app
from pocketdet.benchmarks.targets.adb import PACKAGE, _extras
from pocketdet.datasets.standard_frames import standard_frames
from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.bundle import load_bundle

__all__ = ["command"]

ROOT = Path(__file__).resolve().parents[2]
CHECKED = ROOT / "build" / "android-check"  # what android_demo/check/run builds
JSON = Path("/usr/share/java/com.android.json.jar")
FILES = f"/sdcard/Android/data/{PACKAGE}/files/bench"
QUICK = BenchPlan(quick=True, frames=3, seconds=5.0, warm_up=1, cool_down_s=0.0)
AM = """#!{python}
import contextlib, json, os, subprocess, sys
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "force-stop":
    with contextlib.suppress(OSError), open({pid!r}) as file:
        os.killpg(int(file.read()), 9)
    sys.exit(0)
assert sys.argv[1:6] == ["start", "-S", "-W", "-n", "{package}/.BenchActivity"], sys.argv
os.makedirs({files!r}, exist_ok=True)
child = subprocess.Popen([*{answerer!r}, {files!r}, *sys.argv[6:]], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
with open({pid!r}, "w") as file:
    file.write(str(child.pid))
print("Starting: Intent {{ cmp={package}/.BenchActivity (has extras) }}\\nStatus: ok")
"""
ANSWER = """
import subprocess, sys
folder, *words = sys.argv[1:]
extras = {name: value for _, name, value in zip(words[::3], words[1::3], words[2::3], strict=True)}
out, command = f"{folder}/{extras.pop('out')}", extras.pop("command")
places = [extras.pop("bundle")] if "bundle" in extras else []
places += extras.pop("images").split(",") if "images" in extras else []
options = [f"--{name}={value}" for name, value in extras.items()]
runner = [sys.executable, "-m", "pocketdet.benchmarks.targets.python_runner", command, *places, *options]
done = subprocess.run(runner, capture_output=True, text=True)
ending, text = (".failed", done.stderr) if done.returncode == 2 else ("", done.stdout)
with open(out + ending, "w") as file:
    file.write(text)
if not ending:
    open(out + ".done", "w").close()
"""
MakePhone = Callable[..., "Phone"]


class Phone(AdbDevice):
    """A device with the app; `answerer` is the command that plays it."""

    def __init__(self, root: Path, answerer: list[str], packages: str = PACKAGE, am: str = AM) -> None:
        super().__init__(root)
        self.log, pid = root / "am.log", root / "pid"
        self._program("pm", f'[ "$*" = "list packages {PACKAGE}" ] || exit 1\necho "package:{packages}"\n')
        self._program("pidof", f'[ "$1" = {PACKAGE} ] && kill -0 "$(cat {pid})" && cat {pid}\n')
        filled = am.format(
            python=sys.executable,
            log=str(self.log),
            pid=str(pid),
            package=PACKAGE,
            files=str(self.locate(FILES)),
            answerer=answerer,
        )
        (root / "bin" / "am").write_text(filled)
        (root / "bin" / "am").chmod(0o755)

    def start(self, script: str) -> "subprocess.Popen[bytes]":
        return super().start(script.replace("/sdcard/", f"{self.root}/sdcard/"))

    def answers(self) -> list[str]:
        """What lies where the app leaves its answers."""
        return sorted(path.name for path in self.locate(FILES).iterdir())


@pytest.fixture
def make_phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePhone]:
    """Phones that an adb server of this test alone is connected to."""
    with connecting(tmp_path, monkeypatch) as connect:

        def make(answerer: list[str] | None = None, **settings: str) -> Phone:
            phone = Phone(tmp_path / "phone", answerer or [sys.executable, "-c", ANSWER], **settings)
            connect(phone)
            return phone

        yield make


def measure(phone: Phone, bundle: Path, folder: Path, plan: BenchPlan = QUICK) -> BenchResults:
    out, scratch = folder / "records", folder / "scratch"
    out.mkdir()
    scratch.mkdir()
    words = through_app(parse_targets(["adb"]))
    assert words == [f"app:{phone.serial}"]
    with load_bundle(bundle) as loaded:
        return run_devices(words, BenchRequest((loaded,), plan, out), scratch, lambda word: NoProgress())


class NoProgress:
    def step(self, label: str, seconds: float) -> None:
        return

    def tick(self) -> None:
        return


def test_the_app_writes_a_record(make_phone: MakePhone, small_bundle: Path, tmp_path: Path) -> None:
    phone = make_phone()
    results = measure(phone, small_bundle, tmp_path)
    assert results.problems == ()
    ((path, record),) = results.records
    assert read_record(path) == record
    assert record.golden.ok
    assert (record.target.kind, record.target.address) == ("adb", phone.serial)
    assert (record.device.name, record.device.soc) == ("Acme Phone 1", "Snapdragon 845")
    assert record.run is not None
    assert record.run.frames == 3
    assert [(p.name, p.sha256) for p in record.protocol.pictures] == [
        (f"{name}.png", describe_image(name, frame).sha256) for name, frame in standard_frames().items()
    ]
    assert phone.answers() == []  # nothing is left there
    commands = [words[words.index("command") + 1] for words in starts(phone)]
    assert commands == ["machine", "verify", "bench"]


def starts(phone: Phone) -> list[list[str]]:
    words = [json.loads(line) for line in phone.log.read_text().splitlines()]
    return [one for one in words if one[0] == "start"]


def test_numbers_have_the_types_that_the_app_expects(
    make_phone: MakePhone, small_bundle: Path, tmp_path: Path
) -> None:
    phone = make_phone()
    with load_bundle(small_bundle) as loaded:
        photo = tmp_path / "scene.png"
        shutil.copyfile(loaded.path(loaded.manifest.golden.image), photo)
        digest = loaded.digest
    plan = BenchPlan(quick=True, frames=2, seconds=5.0, warm_up=0, images=(photo,), precision="fp32")
    results = measure(phone, small_bundle, tmp_path, plan)
    assert results.problems == ()
    words = starts(phone)[-1]
    extras = {n: (kind, v) for kind, n, v in zip(words[5::3], words[6::3], words[7::3], strict=True)}
    assert extras["frames"] == ("--ei", "2")
    assert extras["warmup"] == ("--ei", "0")
    assert extras["cpu"][0] == "--ei"
    assert extras["seconds"] == ("--ef", "5")
    assert extras["precision"] == ("--es", "fp32")
    assert extras["digest"] == ("--es", digest)
    assert extras["images"][1].startswith(str(phone.locate(FILES)))
    assert extras["images"][1].endswith("/scene.png")
    assert extras["out"][1].endswith(".json")


def host_answerer() -> list[str]:
    """The app's own Java on the library for this machine."""
    library = CHECKED / "jni-host" / "libpocketdet.so"
    classes = [CHECKED / folder for folder in ("library", "app", "app-screens")]
    if not all(path.exists() for path in (library, JSON, *classes)):
        pytest.skip("the app's Java is not built for this machine: android_demo/check/run")
    return [
        "java",
        f"-Djava.library.path={library.parent}",
        "-cp",
        ":".join(map(str, [*classes, JSON])),
        "io.pocketdet.app.StandInPhone",
    ]


def test_the_java_code_of_the_app_answers(make_phone: MakePhone, small_bundle: Path, tmp_path: Path) -> None:
    phone = make_phone(host_answerer())
    results = measure(phone, small_bundle, tmp_path)
    assert results.problems == ()
    ((_, record),) = results.records
    assert record.golden.ok
    assert record.engine.language == "C++"
    assert record.engine.runner.startswith("pocketdet-android ")
    assert record.run is not None
    assert record.run.frames == 3
    assert record.run.before.throttling == Throttling(status="none", headroom=0.25)
    session = open_session(open_target(f"app:{phone.serial}"))
    with pytest.raises(EngineError) as caught:
        session.ask("verify", str(tmp_path / "absent.pocketdet"))
    assert "the runner's verify refuses: " in str(caught.value)
    assert "absent.pocketdet" in str(caught.value)
    with pytest.raises(EngineError, match=r"refuses: .*--frames 0: expected a whole number from 1"):
        session.ask("bench", str(small_bundle), "--frames", "0")


def test_a_flag_is_a_truth_value_for_the_app() -> None:
    words = _extras(["bench", "/b.pocketdet", "--layers", "--frames", "3"], "o.json")
    extras = {n: (kind, v) for kind, n, v in zip(words[::3], words[1::3], words[2::3], strict=True)}
    assert extras["layers"] == ("--ez", "true")
    assert extras["frames"] == ("--ei", "3")


@pytest.mark.parametrize(
    ("am", "sentence"),
    [
        (
            '#!/bin/sh\necho "Error: Activity class {{x}} does not exist."\n',
            "the runner's machine refuses: Error: Activity class",
        ),
        (
            "#!/bin/sh\necho 'java.lang.SecurityException: Permission Denial' >&2\nexit 255\n",
            "the runner's machine refuses: java.lang.SecurityException: Permission Denial",
        ),
        (
            "#!/bin/sh\necho 'Status: ok'\n",
            "the runner's machine ended with exit code 1: the app ended without an answer",
        ),
    ],
)
def test_an_app_that_does_not_answer(make_phone: MakePhone, am: str, sentence: str) -> None:
    phone = make_phone(am=am)
    session = open_session(open_target(f"app:{phone.serial}"))
    with pytest.raises(EngineError) as caught:
        session.ask("machine")
    assert f"adb:{phone.serial}: {sentence}" in str(caught.value)


def test_ending_a_run_ends_the_app(make_phone: MakePhone) -> None:
    phone = make_phone(["sh", "-c", "sleep 600"])
    session = open_session(open_target(f"app:{phone.serial}"))

    def interrupt() -> None:
        if (phone.root / "pid").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.ask("machine", tick=interrupt)
    assert '["force-stop", "io.pocketdet.app"]' in phone.log.read_text()
    pid = int((phone.root / "pid").read_text())
    wait_until(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is more than a memory of one."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_a_device_without_the_app(make_phone: MakePhone) -> None:
    phone = make_phone(packages=f"{PACKAGE}.debug")
    with pytest.raises(UsageError, match=r"io\.pocketdet\.app is not installed there"):
        open_session(open_target(f"app:{phone.serial}"))


def test_the_app_needs_an_android_target() -> None:
    with pytest.raises(UsageError, match="--via app: the camera app runs on Android devices, not on local"):
        through_app(["adb:x", "local"])


def test_the_command_line(command: Callable[..., Ending], tmp_path: Path) -> None:
    ending = command("bench", "absent.pocketdet", "--via", "app")
    assert (ending.code, ending.out) == (2, "")
    assert "--via app: the camera app runs on Android devices, not on local; use --target adb" in ending.err
    runner = tmp_path / "pocketdet-run"
    runner.touch()
    ending = command("bench", "absent.pocketdet", "--via", "app", "--runner", runner)
    assert ending.code == 2
    assert "with --via app the app is the runner; leave one of them out" in ending.err
