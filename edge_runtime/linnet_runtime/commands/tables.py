"""Tables on the terminal, all of one kind."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def plain_table(title: str, left: tuple[str, ...], right: tuple[str, ...] = ()) -> Table:
    """A table without frames: columns of words to the left, of figures to the right. The first is never cut."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, heading in enumerate(left):
        table.add_column(heading, no_wrap=i == 0, overflow="fold")
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def print_table(table: Table) -> None:
    """Prints to standard output; a file or a pipe gets lines as long as they need to be."""
    console = Console(markup=False)  # or 'linnet[onnx]' would lose its extra
    if not console.is_terminal:
        console = Console(markup=False, width=200)
    console.print(table)
