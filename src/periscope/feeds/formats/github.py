"""GitHub: security alerts of a repository and advisories, as webhooks send them and APIs list them.

https://docs.github.com/webhooks/webhook-events-and-payloads. A secret that was found is never kept:
its kind and the place of the alert are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from periscope.feeds.finding import (
    Finding,
    dict_of,
    dicts_of,
    list_of,
    own_id,
    required,
    severity_of,
    text_of,
)
from periscope.feeds.format import PRODUCT, Skip
from periscope.feeds.indicators import Indicator, indicator
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report

Record = dict[str, Any]
OVER = frozenset(
    (
        *("fixed", "dismissed", "auto_dismissed", "resolved", "closed", "closed_by_user"),
        *("withdrawn", "dismiss", "resolve"),
    )
)
"""Actions and states after which an alert asks nothing of anybody any more."""
AGAIN = frozenset(("reopened", "reopened_by_user", "auto_reopened", "reintroduced"))
"""Actions that open an alert, whatever else it still says of how it was closed."""
SECRETS = frozenset(("secret", "first_location_detected", "multi_repo"))
PLACE = re.compile(r"https?://[^/\s]+/(?:api/v3/)?(?:repos/)?([\w.-]+/[\w.-]+)/")
LONGEST = 256


class Kind(NamedTuple):
    """One kind of alert: its word in ids, and how one is told and mapped."""

    word: str
    keys: frozenset[str]
    finding: Callable[[Record, Record], dict[str, Any]]


class GitHub(JsonFormat):
    """One report an open alert of a repository, or an advisory."""

    name = "github"
    title = "GitHub security alerts"
    one_report_is = "an open alert of Dependabot, code or secret scanning, or an advisory"
    rank = PRODUCT
    marks = (
        re.compile(rb'"(?:ghsa_id|secret_type|affected_package_name|security_advisory|tool)"\s*:'),
        re.compile(rb'"(?:repository|security_advisory|html_url)"\s*:'),
        re.compile(rb'"(?:https?:\\?/\\?/)(?:api\.)?github\.com'),
    )
    example = (
        b'{"action": "created", "alert": {"number": 20, "state": "open", "dependency": {"package": '
        b'{"ecosystem": "npm", "name": "example-lib"}, "manifest_path": "package-lock.json"}, '
        b'"security_advisory": {"ghsa_id": "GHSA-aaaa-bbbb-cccc", "cve_id": "CVE-2024-0001", '
        b'"summary": "example-lib runs commands", "description": "Before 2.0 it runs commands.", '
        b'"severity": "high", "cwes": [{"cwe_id": "CWE-78"}], "references": [{"url": '
        b'"https://example.com/advisory"}]}, "html_url": "https://github.com/example/web-1/security/'
        b'dependabot/20", "created_at": "2024-01-31T08:00:00Z", "updated_at": '
        b'"2024-01-31T08:00:00Z"}, "repository": {"full_name": "example/web-1"}}\n'
    )
    mapping = (
        (
            "threat_id",
            "`github:`, the repository, the kind of alert and its number "
            "(`github:example/shop/dependabot/20`); of an advisory its `ghsa_id`",
        ),
        ("content", "`description` of the advisory or rule"),
        (
            "severity",
            "`severity` of the advisory; `rule.security_severity_level`, else `rule.severity`; "
            "of a secret its `validity`; see the table",
        ),
        ("source", "`dependabot`, name of the tool, `secret-scanning`, `github-advisories`"),
        ("observed_at", "`updated_at`, else `created_at` or `published_at`"),
        ("metadata.title", "`summary`, description of the rule, or kind of secret; the repository"),
        ("metadata.type", "`vulnerability`, `finding`, `leaked-secret` or `advisory`"),
        ("metadata.tags", "`ghsa_id`, CWE ids, packages (`npm:semver`), tags of the rule"),
        ("metadata.references", "`html_url`, `references`, `external_reference`"),
        ("metadata.indicators", "CVE ids; the file in which code scanning found something"),
        ("metadata.first_observed, .last_observed", "`created_at` or `published_at`; `updated_at`"),
        (
            "metadata.repository, .package, .manifest, .affected, .fixed_in, .rule, .tool, "
            ".secret_type, .cvss",
            "the same",
        ),
        ("metadata.raw", "the first 1,024 bytes of the alert, never the secret"),
    )

    def is_one(self, record: Record) -> bool:
        """Whether it is a webhook's body with an alert or advisory, or one of them alone."""
        return _kind(*_opened(record)) is not None

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map open alerts; those that are over are skipped by their state."""

        def report(record: Any) -> Report | None:
            alert, around = _opened(required(record, "an alert"))
            kind = _kind(alert, around)
            if kind is None:
                if "action" in around or "zen" in around:
                    skip("other event")
                    return None
                raise BadRecord("neither an alert nor an advisory of GitHub")
            over = _over(alert, around)
            if over:
                skip(over)
                return None
            return _report(kind, alert, around, options)

        return report


def _opened(record: Record) -> tuple[Record, Record]:
    """Return the alert or advisory, and what stands around it."""
    if isinstance(record.get("alert"), dict) and "action" in record:
        return record["alert"], record
    if "action" in record and isinstance(record.get("security_advisory"), dict):
        return record["security_advisory"], record
    if "action" in record and isinstance(record.get("repository_advisory"), dict):
        return record["repository_advisory"], record
    return record, record


def _kind(alert: Record, around: Record) -> Kind | None:
    """Tell the kind by the members; an alert alone needs its number and a link as well."""
    alone = alert is around
    for kind in KINDS:
        if kind.keys <= alert.keys() and (
            not alone or kind.word == ADVISORY or {"number", "html_url"} <= alert.keys()
        ):
            return kind
    return None


def _over(alert: Record, around: Record) -> str | None:
    action = text_of(around, "action").lower()
    if action in AGAIN:
        return None
    if alert.get("withdrawn_at"):
        return "withdrawn"
    state = text_of(alert, "state").lower()
    return next((word for word in (action, state) if word in OVER), None)


def _report(kind: Kind, alert: Record, around: Record, options: ReadOptions) -> Report:
    place = _repository(alert, around)
    threat_id = _identity(kind, alert, place)
    said = kind.finding(alert, dict_of(alert, "security_advisory") or alert)
    try:
        severity = severity_of(options, GitHub.name, said.pop("severity"))
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None
    title = said.pop("title") or kind.word
    first = text_of(alert, "created_at", "published_at", "publishedAt")
    more = {"repository": place, **said.pop("more")}
    references = said.pop("references", [])
    return Finding(
        threat_id=threat_id,
        title=f"{title} in {place}" if place else title,
        severity=severity,
        source=said.pop("source"),
        observed_at=text_of(alert, "updated_at") or first,
        first_observed=first,
        last_observed=text_of(alert, "updated_at") or first,
        references=[text_of(alert, "html_url"), *references],
        more={
            key: value[:LONGEST] if isinstance(value, str) else value for key, value in more.items()
        },
        raw={key: value for key, value in alert.items() if key not in SECRETS},
        **said,
    ).report(options)


def _repository(alert: Record, around: Record) -> str:
    named = text_of(dict_of(around, "repository"), "full_name")
    named = named or text_of(dict_of(alert, "repository"), "full_name")
    found = named or PLACE.match(text_of(alert, "html_url", "url"))
    return found if isinstance(found, str) else found[1] if found else ""


def _identity(kind: Kind, alert: Record, place: str) -> str:
    own = text_of(alert, "ghsa_id") if kind.word == ADVISORY else text_of(alert, "number", "id")
    if not own:
        raise BadRecord("neither number nor ghsa_id, so it cannot be told from others")
    if kind.word == ADVISORY:
        return own_id(GitHub.name, own)
    if not place:
        raise BadRecord("it does not say of which repository it is")
    return own_id(GitHub.name, f"{place.lower()}/{kind.word}/{own}")


def _dependabot(alert: Record, advisory: Record) -> dict[str, Any]:
    part = dict_of(alert, "security_vulnerability")
    package = dict_of(part, "package") or dict_of(alert, "dependency", "package")
    return {
        **_advised(advisory),
        "type": "vulnerability",
        "source": "dependabot",
        "severity": (("severity", advisory.get("severity")), ("severity", part.get("severity"))),
        "more": {
            "package": _named(package),
            "manifest": text_of(dict_of(alert, "dependency"), "manifest_path"),
            "affected": text_of(part, "vulnerable_version_range"),
            "fixed_in": text_of(dict_of(part, "first_patched_version"), "identifier"),
            "cvss": dict_of(advisory, "cvss").get("score"),
        },
    }


def _vulnerability(alert: Record, _: Record) -> dict[str, Any]:
    external = text_of(alert, "external_identifier")
    package = text_of(alert, "affected_package_name")
    return {
        "title": f"{external or text_of(alert, 'ghsa_id')}: {package}",
        "content": "",
        "type": "vulnerability",
        "source": "dependabot",
        "severity": (("severity", alert.get("severity")),),
        "tags": [text_of(alert, "ghsa_id"), package],
        "references": [text_of(alert, "external_reference")],
        "indicators": [indicator("vulnerability", external)],
        "more": {
            "package": package,
            "affected": text_of(alert, "affected_range"),
            "fixed_in": text_of(alert, "fixed_in"),
        },
    }


def _scanned(alert: Record, _: Record) -> dict[str, Any]:
    rule, tool = dict_of(alert, "rule"), text_of(dict_of(alert, "tool"), "name")
    places = [*dicts_of(alert.get("most_recent_instance")), *dicts_of(alert.get("instances"))]
    files = [text_of(dict_of(place, "location"), "path") for place in places]
    said = text_of(rule, "description", "name", "id")
    return {
        "title": f"{said} ({files[0]})" if files and files[0] else said,
        "content": text_of(rule, "full_description") or said,
        "type": "finding",
        "source": tool or "code-scanning",
        "severity": (
            ("security_severity_level", rule.get("security_severity_level")),
            ("rule_severity", rule.get("severity")),
        ),
        "tags": [text_of(rule, "id"), *list_of(rule.get("tags"))],
        "references": [text_of(rule, "help_uri")],
        "indicators": [indicator("file-name", path) for path in files],
        "more": {"rule": text_of(rule, "id"), "tool": tool},
    }


def _secret(alert: Record, _: Record) -> dict[str, Any]:
    kind = text_of(alert, "secret_type")
    validity = alert.get("validity")
    return {
        "title": f"Secret: {text_of(alert, 'secret_type_display_name') or kind}",
        "content": "",
        "type": "leaked-secret",
        "source": "secret-scanning",
        "severity": (("validity", "unknown" if validity is None else validity),),
        "tags": [kind],
        "more": {"secret_type": kind, "validity": text_of(alert, "validity")},
    }


def _advisory(alert: Record, advisory: Record) -> dict[str, Any]:
    parts = dicts_of(alert.get("vulnerabilities"))
    return {
        **_advised(advisory),
        "type": "advisory",
        "source": "github-advisories",
        "severity": (("severity", alert.get("severity")),),
        "more": {
            "affected": [
                text_of(part, "vulnerable_version_range")[:LONGEST] for part in parts[:20]
            ],
            "cvss": dict_of(alert, "cvss").get("score"),
        },
    }


def _advised(advisory: Record) -> dict[str, Any]:
    """What an advisory says, whether alone or inside an alert."""
    parts = dicts_of(advisory.get("vulnerabilities"))
    links = list_of(advisory.get("references"))
    return {
        "title": text_of(advisory, "summary"),
        "content": text_of(advisory, "description"),
        "tags": [
            text_of(advisory, "ghsa_id"),
            *(text_of(cwe, "cwe_id") for cwe in dicts_of(advisory.get("cwes"))),
            *(_named(dict_of(part, "package")) for part in parts),
        ],
        "references": [text_of(x, "url") if isinstance(x, dict) else x for x in links],
        "indicators": list(_cves(advisory)),
    }


def _cves(advisory: Record) -> Iterator[Indicator | None]:
    yield indicator("vulnerability", advisory.get("cve_id"))
    for one in dicts_of(advisory.get("identifiers")):
        yield indicator("vulnerability", one.get("value"))


def _named(package: Record) -> str:
    return ":".join(filter(None, (text_of(package, "ecosystem"), text_of(package, "name"))))


ADVISORY = "advisory"
KINDS = (
    Kind("dependabot", frozenset(("security_advisory", "dependency")), _dependabot),
    Kind("vulnerability", frozenset(("affected_package_name", "ghsa_id")), _vulnerability),
    Kind("code-scanning", frozenset(("rule", "tool", "number")), _scanned),
    Kind("secret-scanning", frozenset(("secret_type", "number")), _secret),
    Kind(ADVISORY, frozenset(("ghsa_id", "severity", "vulnerabilities")), _advisory),
)
