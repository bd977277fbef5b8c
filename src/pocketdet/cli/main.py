"""The command line. Each command is one module that imports what is heavy only when it runs."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Annotated, Any, TextIO, cast

import typer
from rich.console import Console
from rich.text import Text

from pocketdet.cli.align import align
from pocketdet.cli.bench import bench
from pocketdet.cli.bench_engines import bench_engines
from pocketdet.cli.demo import demo
from pocketdet.cli.detect import detect
from pocketdet.cli.doctor import doctor
from pocketdet.cli.export import export
from pocketdet.cli.info import info
from pocketdet.cli.predict import predict
from pocketdet.cli.report import report
from pocketdet.cli.train import train
from pocketdet.cli.val import val
from pocketdet.cli.verify import verify
from pocketdet.errors import PocketdetError, UsageError

INTERRUPTED = 130

app = typer.Typer(
    name="pocketdet",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    export,
    align,
    verify,
    detect,
    info,
    doctor,
    demo,
    train,
    val,
    bench,
    bench_engines,
    predict,
    report,
):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from pocketdet import __version__

        typer.echo(f"pocketdet {__version__}")
        raise typer.Exit


@app.callback()
def pocketdet(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Trained PyTorch detectors on a phone: export to a bundle, prove it, run it.

    A usual day: pocketdet export weights.safetensors --out bundles, then pocketdet verify, then pocketdet
    detect. Exit codes: 0 all is well, 1 a check failed, 2 bad input or usage.
    """


def main() -> None:
    """Run the command line and end the process with its exit code.

    A `PocketdetError` becomes one sentence on stderr, Ctrl-C and output that cannot be written another;
    anything else is a bug and shows its traceback.
    """
    try:
        with contextlib.redirect_stdout(cast(TextIO, _Output(sys.stdout))):
            try:
                app()
            finally:
                sys.stdout.flush()
    except PocketdetError as error:
        _drop_unwritable_output()
        _say(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            _say("interrupted")
        raise


class _Output:
    """Standard output that fails with `UsageError`; a pipe that nobody reads any more fails as ever."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._failing():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._failing():
            self._stream.flush()

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise  # click ends the process quietly
        except OSError as error:
            raise UsageError(f"standard output: cannot be written: {error.strerror or error}") from error


def _drop_unwritable_output() -> None:
    """So that Python does not try it once more when it ends, with a traceback and an exit code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(sentence: str) -> None:
    Console(stderr=True).print(Text(f"error: {sentence}", style="bold red"), soft_wrap=True)
