"""`periscope warninglists`: lists of what is known to be harmless."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from periscope import documents
from periscope.cli import grid, noise_told, output
from periscope.cli.figures import count
from periscope.cli.options import (
    ANY_STORE,
    FOR_PEOPLE,
    MYSELF,
    AnalystOptions,
    OutputOptions,
    StoreOptions,
)
from periscope.cli.text import safe
from periscope.cli.words import unknown


async def load(
    path: Annotated[str, Parameter(name="PATH", help="A file, or a directory with lists in it.")],
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Load lists, all or none."""
    async with store.open() as periscope:
        analyst = who.name(periscope.settings)
        loaded = await periscope.load_warninglists(path, analyst=analyst)
    if out.as_json:
        output.show_json({"loaded": [documents.warninglist(one) for one in loaded]})
        return 0
    values, left_out = sum(one.values for one in loaded), sum(one.left_out for one in loaded)
    output.write(
        f"{count(len(loaded), 'warninglist')} loaded, with {count(values, 'value')}"
        f"{f' ({left_out:,} left out)' if left_out else ''}; in force for everybody\n"
    )
    return 0


async def listing(*, store: StoreOptions = ANY_STORE, out: OutputOptions = FOR_PEOPLE) -> int:
    """Show what is loaded."""
    async with store.open() as periscope:
        lists = await periscope.get_warninglists()
    if out.as_json:
        output.show_json({"items": [documents.warninglist(one) for one in lists]})
    elif not lists:
        output.write("No warninglist is loaded.\n")
    else:
        grid.show(noise_told.LIST_HEADS, [noise_told.list_cells(one) for one in lists])
    return 0


async def drop(
    name: Annotated[str, Parameter(name="NAME", help="The name of the list.")],
    /,
    *,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Let go of a list."""
    async with store.open() as periscope:
        await periscope.drop_warninglist(name)
    if out.as_json:
        output.show_json({"dropped": name})
    else:
        output.write(f"{safe(name)} is no longer loaded\n")
    return 0


async def look_up(
    *values: Annotated[str, Parameter(name="VALUE", help="Addresses, hosts, URLs, hashes ...")],
    kind: Annotated[
        str | None,
        Parameter(
            name="--type",
            help="What they are: ipv4-addr, domain-name, url, md5 ...; without it, what they look "
            "like.",
            metavar="TYPE",
        ),
    ] = None,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Look values up in the lists."""
    from periscope.noise.kinds import KINDS, kind_of

    if kind is not None and kind not in KINDS:
        raise unknown(kind, "--type", sorted(KINDS))
    asked = [{"type": kind or kind_of(value), "value": value} for value in values]
    async with store.open() as periscope:
        found = await periscope.explain_noise({"metadata": {"indicators": asked}})
    if out.as_json:
        items = [one._asdict() for one in found.indicators]
        output.show_json({"items": items})
    else:
        rows = [(one.type, one.value, one.warninglist or "-") for one in found.indicators]
        grid.show(("TYPE", "VALUE", "WARNINGLIST"), rows)
    return 0 if all(one.warninglist for one in found.indicators) else 1
