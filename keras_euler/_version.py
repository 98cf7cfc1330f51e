"""The version, which the package's own modules may import too."""

__version__ = "0.1.0"
