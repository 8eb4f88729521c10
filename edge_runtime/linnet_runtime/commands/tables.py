"""Tables on the terminal, all in one style."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def plain_table(title: str, left: tuple[str, ...], right: tuple[str, ...] = ()) -> Table:
    """A table without frames: text columns on the left, figures on the right. The first column is never cut."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, heading in enumerate(left):
        table.add_column(heading, no_wrap=i == 0, overflow="fold")
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def print_table(table: Table) -> None:
    """Prints to standard output. In a file or a pipe, lines are as long as necessary."""
    console = Console(markup=False)  # with markup, 'linnet[onnx]' would lose its extra
    if not console.is_terminal:
        console = Console(markup=False, width=200)
    console.print(table)
