"""What all commands share: options, passphrases, progress, and how a failure is told."""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TypeVar

import click

from schemas import locks
from schemas.errors import InputError, TallystickError
from schemas.texts import marked_text

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
DAY = click.DateTime(formats=["%Y-%m-%d"])


class Commands(click.Group):
    """Turns every failure into one message and an exit code, and never lets a value into a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        _write_what_can_be_written()
        try:
            return super().invoke(ctx)
        except TallystickError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Stopped. Nothing was left half-written.", err=True)
            ctx.exit(130)
        except BrokenPipeError:
            # The reader of a pipe has seen enough (head); that is no failure of ours.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            ctx.exit(0)
        except (click.exceptions.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            # The message of an unexpected error can quote a cell, so only its type and place are shown.
            click.echo(
                f"Error: an unexpected {type(error).__name__} stopped the work. {_place(error)}", err=True
            )
            ctx.exit(1)


def _write_what_can_be_written() -> None:
    """Let a character that the terminal does not have (Windows code pages) be a question mark, not a failure.

    What goes into a file or another program on Windows is UTF-8: a mapping that was drafted so is read again.
    """
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, TextIOWrapper):
            continue
        if locks.WINDOWS and not stream.isatty():
            stream.reconfigure(encoding="utf-8", errors="replace")
        elif stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-4:]]
    return f"Please report it with this place: {' > '.join(places)}. Nothing was left half-written."


@contextmanager
def announcing() -> Iterator[Callable[[str], None]]:
    """Show the stage that is running on a terminal; say nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda _name: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda name: progress.update(task, description=name)


@contextmanager
def loading() -> Iterator[None]:
    """Load modules without looking for garbage meanwhile: they make objects by the hundred thousand, and all stay."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()  # into the oldest generation: as young ones they would be looked through twice
        if collecting:
            gc.enable()


def passphrase(purpose: str, *, new: bool = False) -> bytes:
    """Return a passphrase from TALLYSTICK_PASSPHRASE, from the file TALLYSTICK_PASSPHRASE_FILE, or a prompt."""
    if value := os.environ.get("TALLYSTICK_PASSPHRASE"):
        return value.encode()
    if name := os.environ.get("TALLYSTICK_PASSPHRASE_FILE"):
        try:
            return marked_text(Path(name).read_bytes()).rstrip("\r\n").encode()
        except OSError as error:
            raise InputError(
                f"the passphrase file cannot be read ({error.strerror}).", where="TALLYSTICK_PASSPHRASE_FILE"
            ) from None
        except UnicodeDecodeError:
            raise InputError(
                "the passphrase file is not text in UTF-8.",
                where="TALLYSTICK_PASSPHRASE_FILE",
                remedy="Save it again as UTF-8.",
            ) from None
    text: str = click.prompt(f"Passphrase of {purpose}", hide_input=True, confirmation_prompt=new, err=True)
    return text.encode()


def emit(value: Any) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False))


def json_option(command: Command) -> Command:
    """Add `--json`."""
    return click.option("as_json", "--json", is_flag=True, help="Print one JSON object instead of text.")(
        command
    )


def out_option(help_text: str, *, required: bool = True) -> Callable[[Command], Command]:
    """Add `--out FILE`."""
    return click.option("--out", type=FILE, required=required, help=help_text)


def agreement_option(*, required: bool = True) -> Callable[[Command], Command]:
    """Add `--agreement FILE`."""
    return click.option(
        "agreement_file", "--agreement", type=FILE, required=required, help="The agreement (YAML)."
    )


def refuse_existing(path: Path) -> None:
    """Refuse to overwrite `path`."""
    if path.exists():
        raise InputError("this file already exists; keys are never overwritten.", where=str(path))


def announced(announce: Callable[[str], None]) -> Callable[[str], AbstractContextManager[None]]:
    """Return a stage clock that only says which stage has begun."""

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        announce(name)
        yield

    return stage
