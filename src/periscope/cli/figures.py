"""Numbers, times and bars as people read them."""

from __future__ import annotations

UNITS = ("B", "kB", "MB", "GB", "TB")
AGES = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
EIGHTHS = " ▏▎▍▌▋▊▉"


def count(number: int, noun: str) -> str:
    """Return a number and its noun: "1 threat", "2,000 threats"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """Bytes with a decimal unit: "12.3 MB"."""
    value, unit = float(number), UNITS[0]
    for unit in UNITS:
        if value < 999.95 or unit == UNITS[-1]:
            break
        value /= 1000
    return f"{number} B" if unit == "B" else f"{value:.1f} {unit}"


def age(milliseconds: int) -> str:
    """Return a short age in its largest whole unit: "5s", "12m", "3h", "40d"."""
    seconds = max(0, milliseconds) // 1000
    for unit_s, letter in AGES:
        if seconds >= unit_s:
            return f"{seconds // unit_s}{letter}"
    return "now"


def ago(milliseconds: int) -> str:
    """Return how long something is past: "12m ago", or "now"."""
    told = age(milliseconds)
    return told if told == "now" else f"{told} ago"


def span(seconds: float) -> str:
    """Return a duration in two units at most: "0.4 s", "2 min 5 s", "3 h 20 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"


def bar(fraction: float, cells: int, *, plain: bool = False) -> str:
    """Return a bar of exactly so many cells; `plain` for terminals without block characters."""
    share = min(1.0, max(0.0, fraction))
    if plain:
        full = round(share * cells)
        return "#" * full + "." * (cells - full)
    full, part = divmod(round(share * cells * 8), 8)
    return ("█" * full + (EIGHTHS[part] if part else "")).ljust(cells)
