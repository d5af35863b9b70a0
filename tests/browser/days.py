"""What the days of analysts have in common: reports that come in, and what is stored of acts."""

from __future__ import annotations

from typing import Any

from periscope.threat import Threat
from tests.api.conftest import Served


def report(number: int, severity: str = "HIGH", **more: Any) -> dict[str, Any]:
    return {
        "threat_id": f"alert-{number:04d}",
        "content": f"Beacon number {number}",
        "severity": severity,
        "source": "sensor",
        "metadata": {"title": f"Beacon {number}"},
        **more,
    }


def name(number: int) -> str:
    return str(report(number)["threat_id"])


async def send(served: Served, *reports: dict[str, Any]) -> None:
    """Send reports as a sensor does: by the API."""
    answer = await served.admin.post("/v1/reports", json=list(reports))
    assert answer.status_code == 200, answer.text


async def stored(served: Served, threat_id: str) -> Threat:
    found = await served.tenant.periscope.get_threat(threat_id)
    assert found is not None, threat_id
    return found


async def audit_of(served: Served, threat_id: str) -> list[tuple[str, str]]:
    """Who did what to a threat, in the order in which it happened."""
    entries = await served.tenant.periscope.get_recent_audit()
    return [(one.analyst_id, one.action) for one in entries if one.threat_id == threat_id]
