"""Vendors' compilers, from a bundle's int8 model to a model for an accelerator or a microcontroller. Internal.

api.py       what a compiler is
registry.py  the compilers by name, and the targets of each
tools.py     where a vendor's program or package is found
process.py   how it is run: a separate process, within limits of time and memory
bundle.py    the compiled model becomes part of a bundle
command.py   ``linnet compile``

Each other file is one compiler. None imports a vendor's package.
"""
