"""The graph of a Functional model: its layers' calls, their readers, and a walk that computes it in another way.
Internal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras


def functional(model: Any) -> Any | None:
    """The model itself if it is Functional, the Functional model inside a Sequential one, or None without a graph."""
    graph = getattr(model, "_functional", model)
    return graph if isinstance(model, keras.Model) and hasattr(graph, "operations") else None


def calls(graph: Any) -> Iterator[Any]:
    """Keras's nodes, each a call of a layer, in an order of computation."""
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from (node for node in graph._nodes_by_depth[depth] if not node.is_input)


def readers(graph: Any) -> dict[int, list[Any]]:
    """The calls that read each tensor, by the tensor's id. For an output of the graph, the list also has None."""
    found: dict[int, list[Any]] = defaultdict(list)
    for node in calls(graph):
        for tensor in node.input_tensors:
            found[id(tensor)].append(node)
    for tensor in graph.outputs:
        found[id(tensor)].append(None)
    return found


def walk(graph: Any, inputs: Any, call: Callable[..., Any]) -> Any:
    """The output of a graph with one input and one output, for another input.

    Args:
        graph: as ``functional`` returns it.
        inputs: the new input.
        call: ``call(node, *args, **kwargs)`` returns what takes the place of the node's output.
    """
    values = {id(graph.inputs[0]): inputs}
    for node in calls(graph):
        args, kwargs = node.arguments.fill_in(values)
        values[id(node.outputs[0])] = call(node, *args, **kwargs)
    return values[id(graph.outputs[0])]


class Names:
    """Gives every layer of a new model a unique name."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._given = dict.fromkeys(taken, 1)

    def unique(self, name: str) -> str:
        """The name, with a number if it has been given before."""
        self._given[name] = count = self._given.get(name, 0) + 1
        return name if count == 1 else self.unique(f"{name}_{count}")
