"""The console: the page that analysts live in. Files only; what it knows it asks the HTTP API."""

from periscope.console.assets import Asset, Assets, read_assets

__all__ = ["Asset", "Assets", "read_assets"]
