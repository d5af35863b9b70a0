"""Periscope: exact, live, lossless threat triage on Valkey or Redis."""
