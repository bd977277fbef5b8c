"""The command line. Each command is one module with lazy imports of heavy packages."""

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
from pocketdet.cli.cycles import cycles
from pocketdet.cli.demo import demo
from pocketdet.cli.describe import describe
from pocketdet.cli.detect import detect
from pocketdet.cli.doctor import doctor
from pocketdet.cli.export import export
from pocketdet.cli.info import info
from pocketdet.cli.predict import predict
from pocketdet.cli.report import report
from pocketdet.cli.train import train
from pocketdet.cli.val import val
from pocketdet.cli.verify import verify
from pocketdet.cli.zoo import zoo
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
    describe,
    align,
    verify,
    detect,
    info,
    zoo,
    doctor,
    demo,
    train,
    val,
    bench,
    bench_engines,
    predict,
    cycles,
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
    """Run trained PyTorch detectors on phones: export to a bundle, verify parity, detect.

    Typical use: pocketdet export weights.safetensors --out bundles, then pocketdet verify, then pocketdet
    detect.
    Exit codes: 0 success, 1 a check failed, 2 invalid input or usage.
    """


def main() -> None:
    """Run the command line and exit with its exit code.

    A `PocketdetError`, Ctrl-C and unwritable output are reported in one sentence on stderr. Other exceptions
    are bugs and show their traceback.
    """
    try:
        with contextlib.redirect_stdout(cast(TextIO, _Output(sys.stdout))):
            try:
                app()
            finally:
                sys.stdout.flush()
    except PocketdetError as error:
        _drop_unwritable_output()
        _print_error(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _print_error("interrupted")
        sys.exit(INTERRUPTED)
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            _print_error("interrupted")
        raise


class _Output:
    """Standard output that raises `UsageError` if it cannot be written, `BrokenPipeError` if it is closed."""

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
            raise  # click exits silently
        except OSError as error:
            raise UsageError(f"standard output: cannot be written: {error.strerror or error}") from error


def _drop_unwritable_output() -> None:
    """Discard buffered output, so that Python does not fail again on exit with a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error(sentence: str) -> None:
    Console(stderr=True).print(Text(f"error: {sentence}", style="bold red"), soft_wrap=True)
