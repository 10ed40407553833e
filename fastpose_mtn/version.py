"""The version of this package: the one place that says it; see CHANGELOG.md."""

__version__ = "0.2.0"
