"""One file a format; `pyproject.toml` lists them as entry points of `periscope.formats`."""
