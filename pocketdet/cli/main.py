"""The command line. Each command is one module that imports what is heavy only when it runs."""

import sys
from typing import Annotated

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
from pocketdet.errors import PocketdetError

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

    A `PocketdetError` becomes one sentence on stderr, Ctrl-C another; anything else is a bug and shows its
    traceback.
    """
    try:
        app()
    except PocketdetError as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            _say("interrupted")
        raise


def _say(sentence: str) -> None:
    Console(stderr=True).print(Text(f"error: {sentence}", style="bold red"), soft_wrap=True)
