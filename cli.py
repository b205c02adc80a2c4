"""The command line: which command lives in which package. A command is loaded only when it is named."""

from __future__ import annotations

import atexit
import gc
import sys
from functools import partial
from importlib import import_module
from typing import Any

import click

from schemas.terminal import Commands, loading

COMMANDS = {
    "demo": "synthetic.commands.roles:demo",
    "rehearse": "synthetic.commands.roles:rehearse",
    "synth": "synthetic.commands.synth:synth",
    "evaluate": "synthetic.commands.evaluate:evaluate",
    "keys": "hashing.commands.keys:keys",
    "agreement": "governance.commands.agreement:agreement",
    "profile": "hashing.commands.extracts:profile_command",
    "mapping": "hashing.commands.extracts:mapping_group",
    "seal": "hashing.commands.packages:seal",
    "link": "linkage.commands.link:link_command",
    "explain": "linkage.commands.explain:explain_command",
    "privacy-audit": "linkage.commands.privacy_audit:privacy_audit",
    "open": "hashing.commands.packages:open_command",
    "check": "governance.commands.check:check",
    "exception": "governance.commands.exception:exception",
    "audit": "governance.commands.audit:audit",
    "report": "governance.commands.report:report",
    "purge": "governance.commands.lifecycle:purge",
    "erase": "governance.commands.lifecycle:erase",
    "requests": "governance.commands.requests:requests",
}
"""Name on the command line -> module and attribute, in the order of the help page."""

BORROWED: dict[tuple[str, str], str] = {("agreement", "plan-passes"): "synthetic.commands.plan:plan_passes"}
"""Group and name -> a command of the group that lives in a package which the group's own may not import."""


READERS = {"mapping": "hashing.mapping:load_mapping"}
"""Kind of file -> what reads it, lent to `check`, whose own package may not import it."""


class Registry(Commands):
    """Loads a command when it is named, so that an agency needs no linker and the unit no hashing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands whose package is installed."""
        return [name for name in COMMANDS if self.get_command(ctx, name) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command called `cmd_name`, or None."""
        command = _load(COMMANDS[cmd_name]) if cmd_name in COMMANDS else None
        if isinstance(command, click.Group):
            for (group, name), place in BORROWED.items():
                if group == cmd_name and name not in command.commands and (lent := _load(place)) is not None:
                    command.add_command(lent, name)
        return command


@atexit.register
def _leave_the_rest() -> None:
    """Let what is left end with the process, instead of looking through it for cycles.

    DuckDB complains of objects of its own that are still there at the end, so those are looked for as ever.
    """
    if "duckdb" not in sys.modules:
        gc.freeze()


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    try:
        with loading():
            return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == module.partition(".")[0]:
            return None  # that side is not installed here
        raise


def _say_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version  # loads a good deal that no other command needs

    click.echo(f"tallystick, version {version('tallystick')}")
    told = _load("hashing.native.library:in_words")
    if told is not None:
        click.echo(f"compiled kernels: {told()}")
    ctx.exit()


@click.group(cls=Registry, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Show the version, and whether the compiled kernels are in use, and exit.",
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Find the people known to several agencies without any identifier leaving an agency.

    \b
    Try it:            tallystick demo
    On your extracts:  tallystick rehearse FOLDER
    At an agency:      tallystick keys new, seal, open
    At the unit:       tallystick link
    For governance:    tallystick agreement new, agreement check, check
    """
    ctx.obj = {"readers": {kind: partial(_load, place) for kind, place in READERS.items()}}
