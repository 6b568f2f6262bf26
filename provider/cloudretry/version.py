"""The one place that names the version of the package, the plugin, the schema and the SDKs."""

__version__ = "0.1.0"
