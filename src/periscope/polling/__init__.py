"""Feeds that are read again and again: where they come from, and how far each has come.

Layers: `addresses`, `guard` (where a request may go) · `fetch` (one request) · one file a source ·
`document` (what a source gives).
"""
