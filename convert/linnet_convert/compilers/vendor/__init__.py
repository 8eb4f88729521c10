"""Scripts that run in the Python of a vendor's package, which may be another environment. They import that package and
the standard library, and nothing of Linnet.
"""
