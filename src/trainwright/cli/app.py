"""The door of the command line."""

import os
import sys
from typing import Annotated

import typer

from trainwright.base.bounds import excerpt
from trainwright.base.errors import BackendError, DataError, SpecError, TrainwrightError
from trainwright.cli import about, bring, keep, look, start, study, team, train, use
from trainwright.cli.common import say

app = typer.Typer(
    name="trainwright",
    help="Trains deep-learning models and leaves results that can be trusted, repeated and reused.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (start, train, bring, study, look, use, team, keep, about):
    room.add_to(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"trainwright {version('trainwright')}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if verbose:
        import logging

        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
        logging.getLogger("trainwright").setLevel(logging.INFO)


def main() -> None:
    """Runs the command line: exit 0 done, 1 failed, 2 usage, spec or data error, 130 after Ctrl-C."""
    try:
        app()
    except (SpecError, DataError, BackendError) as error:
        say(f"trainwright: {error}")
        raise SystemExit(2) from None
    except TrainwrightError as error:
        say(f"trainwright: {error}")
        raise SystemExit(1) from None
    except UnicodeEncodeError as error:
        # What an argument or a file's name holds that is no UTF-8, Python hands on as lone surrogates.
        say(f"trainwright: {excerpt(error.object)} is not UTF-8 text; rename it, or write it in UTF-8")
        raise SystemExit(2) from None
    except BrokenPipeError:
        # The reader of our output went away; Python would complain once more when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
