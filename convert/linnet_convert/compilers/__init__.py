"""Vendors' compilers: a bundle's model to what an accelerator or a microcontroller runs. Internal.

api.py       what a compiler is
registry.py  the compilers by name, and the targets of each
tools.py     where a vendor's program or package is found
process.py   how it is run: a separate process, within limits of time and memory
bundle.py    what it made becomes part of a bundle
command.py   ``linnet compile``

Each other file is one compiler. It imports no package of a vendor's.
"""
