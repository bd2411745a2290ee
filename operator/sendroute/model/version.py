"""The version of the program, the one place that the package's metadata is built from."""

__version__ = "0.1.0"
