"""The sources of a conversion: a run of ``linnet train``, or a model made elsewhere. One file for each kind.
Internal.
"""
