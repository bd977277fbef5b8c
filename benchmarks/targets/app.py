"""The camera app on an Android device, as a runner: documents of pocketdet-run, measured inside an app.

A command becomes `am start` of the app's BenchActivity, which leaves the document and then a marker among the
app's files (android_demo/README.md). The app is in front while it measures, as when somebody uses it; a
program in /data/local/tmp never is.
"""

import secrets
import shlex
from collections.abc import Sequence
from typing import Final

from pocketdet.benchmarks.targets.adb import AdbTarget
from pocketdet.benchmarks.targets.base import Ended, Tick
from pocketdet.errors import UsageError

PACKAGE: Final = "io.pocketdet.app"
_ACTIVITY = f"{PACKAGE}/.BenchActivity"
_FILES = f"/sdcard/Android/data/{PACKAGE}/files/bench"
_KINDS = {"frames": "--ei", "warmup": "--ei", "cpu": "--ei", "rois": "--ei", "seconds": "--ef"}
_DIED = "the app ended without an answer: it crashed or was closed; look at adb logcat"
# "am start" tells its failures in words; an app that ends between two looks may have answered before
_SCRIPT = """(
said=$({start} 2>&1)
case "$said" in *Error*|*Exception*) echo "$said" | tr '\\n' ' ' >&2; exit 2;; esac
while [ ! -e {out}.done ] && [ ! -e {out}.failed ]; do
  if ! pidof {package} >/dev/null && [ ! -e {out}.done ] && [ ! -e {out}.failed ]; then
    echo {died} >&2; exit 1
  fi
  sleep 1
done
if [ -e {out}.failed ]; then cat {out}.failed >&2; exit 2; fi
cat {out}
)"""


class AppTarget(AdbTarget):
    """`address` is the serial number. Bundles and pictures are pushed to where the app may read them."""

    def make_folder(self) -> str:
        """See `RemoteTarget.make_folder`. The app made the folder around it when it described the machine."""
        folder = f"{_FILES}/{secrets.token_hex(4)}"
        self.ask(f"mkdir {shlex.quote(folder)}")
        return folder

    def require_app(self) -> None:
        """Raise `UsageError` if the app is not installed."""
        if f"package:{PACKAGE}" not in self.ask(f"pm list packages {PACKAGE}").split():
            raise UsageError(
                f"{self}: {PACKAGE} is not installed there; build it as android_demo/README.md says"
            )

    def run(self, words: Sequence[str], limit_s: float, tick: Tick) -> Ended:
        """Have the app do what `words`, a command line of pocketdet-run, say; see `Target.run`.

        Exit codes are those of pocketdet-run, but for checks that fail: the document tells of those.
        """
        out = f"{secrets.token_hex(8)}.json"
        start = ["am", "start", "-S", "-W", "-n", _ACTIVITY, *_extras(words[1:], out)]
        script = _SCRIPT.format(
            start=shlex.join(start), out=f"{_FILES}/{out}", package=PACKAGE, died=shlex.quote(_DIED)
        )
        try:
            return self._run_script(script, limit_s, tick)
        finally:
            self._quietly(f"am force-stop {PACKAGE}; rm -f {_FILES}/{out}*")


def _extras(words: Sequence[str], out: str) -> list[str]:
    """The words of `am start` that say to the app what `words` say to pocketdet-run."""
    command, *rest = words
    options = next((i for i, word in enumerate(rest) if word.startswith("--")), len(rest))
    paths, pairs = rest[:options], rest[options:]
    extras = {"out": out, "command": command}
    if paths:
        extras["bundle"] = paths[0]
    if paths[1:]:
        extras["images"] = ",".join(paths[1:])
    extras |= {name.removeprefix("--"): value for name, value in zip(pairs[::2], pairs[1::2], strict=True)}
    return [word for name, value in extras.items() for word in (_KINDS.get(name, "--es"), name, value)]
