"""Every command explains itself, and the README and guides know every command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import cli
from tests.conftest import run

ROOT = Path(__file__).parents[2]


def _commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, (path, name)
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(_commands(cli.main))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example(path: tuple[str, ...]) -> None:
    """--help works for each command, says what it does, and shows an example of itself."""
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert f"tallystick {' '.join(path)}" in result.stdout.split("Example:")[1]
    assert all(option.help for option in COMMANDS[path].params if isinstance(option, click.Option))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_command_is_documented(path: tuple[str, ...]) -> None:
    """Each command stands in the README or in a guide."""
    texts = [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
    assert any(f"tallystick {' '.join(path)}" in text.read_text(encoding="utf-8") for text in texts)


def test_no_option_takes_a_secret() -> None:
    """Secrets come from files, the environment or a prompt: no option or argument asks for one by value."""
    for path, command in COMMANDS.items():
        for parameter in command.params:
            if any(word in str(parameter.name) for word in ("secret", "passphrase", "key")):
                assert isinstance(parameter.type, click.Path), (path, parameter.name)


def test_unexpected_error_shows_no_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An error that nobody foresaw is reported by its type and place; its text, which may quote a cell, is not."""
    import synthetic.demo

    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("Canary-Smith")

    monkeypatch.setattr(synthetic.demo, "run_rehearsal", fail)
    result = run("rehearse", tmp_path)
    assert result.exit_code == 1
    assert "RuntimeError" in result.stderr
    assert "Canary" not in result.output


def test_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ctrl-C ends with one line and exit code 130."""
    import synthetic.demo

    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic.demo, "run_rehearsal", interrupt)
    result = run("rehearse", tmp_path)
    assert result.exit_code == 130
    assert result.stderr == "Stopped. Nothing was left half-written.\n"
