"""The command line: thin click commands over the packages."""

from __future__ import annotations

import click


@click.group()
def main() -> None:
    """Find the people known to several agencies without any identifier leaving an agency."""
