"""What analysts do, as pure Python: each act answers a word and changes the model's threats."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.support.model_threat import CONFIRMING, DAY, MINUTE, Held, Last, ModelThreat

COUNTED = {"escalate": "escalations", "dismiss": "dismissals", "view": "views"}
INTERACTIONS = ("view", "escalate", "dismiss", "monitor", "investigate")
TEN_YEARS = 3653 * DAY


@dataclass
class Memo:
    """An act that is remembered, with the threat right before it and right after."""

    verb: str
    analyst: str
    threat_id: str
    at: int
    before: ModelThreat
    after: ModelThreat


class Acts:
    """Every act has a request id; `memos` are those that were done, by partition and id."""

    def __init__(self) -> None:
        self.threats: dict[str, ModelThreat] = {}
        self.removed: set[str] = set()
        self.memos: dict[str, Memo] = {}
        self.undone: dict[str, str] = {}
        self.audited = 0

    def act(self, verb: str, threat_id: str, analyst: str, request: str, now: int) -> str:
        """An interaction or a reopening."""
        return self._remembered(verb, threat_id, analyst, request, now)

    def decide(self, threat_id: str, analyst: str, outcome: str, request: str, now: int) -> str:
        return self._remembered("decide", threat_id, analyst, request, now, outcome)

    def snooze(self, threat_id: str, analyst: str, until: int, request: str, now: int) -> str:
        """Until a moment; 0 for only until it gets worse."""
        return self._remembered("snooze", threat_id, analyst, request, now, until=until)

    def _remembered(
        self,
        verb: str,
        threat_id: str,
        analyst: str,
        request: str,
        now: int,
        outcome: str = "",
        until: int = 0,
    ) -> str:
        memo = self.memos.get(request)
        if memo is not None:
            same = (memo.verb, memo.analyst, memo.threat_id) == (verb, analyst, threat_id)
            return "AGAIN" if same else "CONFLICT"
        threat = self.threats.get(threat_id)
        if threat is None:
            return "UNKNOWN"
        holder = threat.holder(now)
        if (
            verb in ("dismiss", "decide", "snooze")
            and holder is not None
            and holder.analyst != analyst
        ):
            return "CLAIMED"
        if verb == "snooze" and (refusal := _why_awake(threat, until, now)):
            return refusal
        before = _copy(threat)
        if verb in INTERACTIONS:
            _interact(threat, verb, analyst, request, now)
        elif verb == "snooze":
            _snooze(threat, analyst, until, request, now)
        else:
            _judge(threat, verb, analyst, outcome, request, now)
        self.memos[request] = Memo(verb, analyst, threat_id, now, before, _copy(threat))
        self.audited += 1
        return "DONE"

    def comment(self, threat_id: str) -> str:
        self.audited += threat_id in self.threats
        return "DONE" if threat_id in self.threats else "UNKNOWN"

    def recall(self, threat_id: str, now: int) -> tuple[str, int]:
        threat = self.threats.get(threat_id)
        if threat is None:
            return "UNKNOWN", 0
        level = threat.level
        if level > 1:
            threat.recall(now, explicit=True)
            threat.revision += 1
        self.audited += 1
        return "DONE", level

    def allow(self, threat_id: str) -> str:
        if threat_id not in self.removed:
            return "NOT_REMOVED"
        self.removed.discard(threat_id)
        self.audited += 1
        return "DONE"

    def claim(self, threat_id: str, analyst: str, lease: int, now: int, *, over: bool) -> str:
        """The token of a new claim is 0 until the test has filled in the engine's."""
        threat = self.threats.get(threat_id)
        if threat is None:
            return "UNKNOWN"
        if threat.level != 1:
            return "REFUSED"
        held = threat.holder(now)
        if held is not None and held.analyst == analyst:
            threat.claim = replace(held, until=max(held.until, now + lease), lease=lease)
        elif held is not None and not over:
            return "CLAIMED"
        else:
            threat.claim = Held(analyst, 0, now + lease, lease)
        self.audited += 1
        return "DONE"

    def next_unclaimed(self, severity: int | None, now: int) -> ModelThreat | None:
        free = [
            t
            for t in self.threats.values()
            if t.level == 1 and t.status == "open" and t.holder(now) is None
        ]
        wanted = [t for t in free if severity in (None, t.severity)]
        return max(wanted, key=lambda t: t.rank_key(now), default=None)

    def release(self, threat_id: str, held: Held, now: int) -> str:
        threat = self.threats.get(threat_id)
        if threat is None:
            return "UNKNOWN"
        now_held = threat.holder(now)
        if now_held is None or (now_held.analyst, now_held.token) != (held.analyst, held.token):
            return "NOT_HELD"
        threat.claim = None
        self.audited += 1
        return "DONE"

    def undo(self, request: str, analyst: str, now: int) -> str:
        memo = self.memos.get(request)
        if memo is None:
            return "UNKNOWN"
        if request in self.undone:
            return "AGAIN" if self.undone[request] == analyst else "CONFLICT"
        refusal = self._why_not(memo, request, analyst, now)
        if refusal:
            return refusal
        _take_back(self.threats[memo.threat_id], memo, now)
        self.undone[request] = analyst
        self.audited += 1
        return "DONE"

    def _why_not(self, memo: Memo, request: str, analyst: str, now: int) -> str:
        if memo.analyst != analyst:
            return "NOT_LAST"
        threat = self.threats.get(memo.threat_id)
        if threat is None or now - memo.at > 10 * MINUTE or _has_moved(threat, memo.after):
            return "TOO_LATE"
        if memo.verb == "decide" and memo.after.outcome in CONFIRMING:
            return "TOO_LATE"
        last = threat.acts.get(analyst)
        return "" if last is not None and last.request == request else "NOT_LAST"

    def forget(self, now: int) -> None:
        """Whether ids older than a day are remembered is the engine's to say."""
        for request in [r for r, memo in self.memos.items() if now - memo.at >= DAY]:
            del self.memos[request]


def _copy(threat: ModelThreat) -> ModelThreat:
    return replace(threat, acts=dict(threat.acts), words=list(threat.words))


def _interact(threat: ModelThreat, verb: str, analyst: str, request: str, now: int) -> None:
    threat.recall(now, explicit=False)
    threat.revision += 1
    threat.interactions += 1
    if verb in COUNTED:
        setattr(threat, COUNTED[verb], getattr(threat, COUNTED[verb]) + 1)
    threat.escalated_since_recall += verb == "escalate"
    threat.last_activity = max(threat.last_activity, now)
    _note(threat, verb, analyst, request, now, 1)
    if threat.status != "closed":
        if verb == "escalate":
            threat.set_status("open", now)
            threat.decided = threat.revision
        elif verb == "dismiss" and threat.dismissals > threat.escalations:
            threat.set_status("dismissed", now)
            threat.decided = threat.revision
    may = threat.status == "open" and (not threat.home or threat.escalated_since_recall > 0)
    latches = verb != "dismiss" and may and threat.eligible()
    threat.latch = threat.score(threat.last_activity) if latches else None
    held = threat.holder(now)
    if held is not None and held.analyst == analyst:
        threat.claim = replace(held, until=max(held.until, now + held.lease))


def _judge(
    threat: ModelThreat, verb: str, analyst: str, outcome: str, request: str, now: int
) -> None:
    """An outcome, or a reopening."""
    threat.revision += 1
    threat.outcome = outcome or None
    _note(threat, verb, analyst, request, now, 0)
    threat.set_status("closed" if outcome else "open", now)
    threat.decided = threat.revision
    if verb == "decide":
        threat.latch = threat.claim = None
    if threat.level > 1:
        threat.judge(now)
    elif outcome in CONFIRMING:
        threat.promote(threat.score(now), now)


def _why_awake(threat: ModelThreat, until: int, now: int) -> str:
    """Why it cannot be snoozed, if that is so."""
    if until and (until <= now or until - now > TEN_YEARS):
        return "BAD_END"
    stays_closed = threat.status == "closed" and (threat.level == 1 or threat.withdrawn)
    return "CLOSED" if stays_closed else ""


def _snooze(threat: ModelThreat, analyst: str, until: int, request: str, now: int) -> None:
    threat.recall(now, explicit=False)
    threat.revision += 1
    _note(threat, "snooze", analyst, request, now, 0)
    threat.snooze(until)
    threat.decided = threat.revision
    threat.latch = threat.claim = None


def _has_moved(threat: ModelThreat, after: ModelThreat) -> bool:
    """Is it another stay than it was? Of one that was recalled a snooze since makes that unsure."""
    unsure = threat.home and threat.place_in_time() != after.place_in_time()
    return threat.moves != after.moves or bool(unsure)


def _note(
    threat: ModelThreat, verb: str, analyst: str, request: str, now: int, interactions: int
) -> None:
    last = threat.acts.get(analyst)
    count = (last.interactions if last else 0) + interactions
    threat.acts[analyst] = Last(count, verb, now, request)


def _take_back(threat: ModelThreat, memo: Memo, now: int) -> None:
    before, after = memo.before, memo.after
    nothing_followed = threat.revision == after.revision
    if memo.verb in INTERACTIONS:
        threat.interactions -= 1
        if memo.verb in COUNTED:
            setattr(threat, COUNTED[memo.verb], getattr(threat, COUNTED[memo.verb]) - 1)
        threat.escalated_since_recall -= memo.verb == "escalate"
    threat.acts.pop(memo.analyst)
    if memo.analyst in before.acts:
        threat.acts[memo.analyst] = before.acts[memo.analyst]
    _restore_status(threat, memo, now)
    if nothing_followed:
        threat.last_activity, threat.latch = before.last_activity, before.latch
    elif threat.status != "open" or not threat.eligible():
        threat.latch = None
    elif threat.latch is not None:
        threat.latch = threat.score(threat.last_activity)
    threat.revision += 1
    threat.judge(now)


def _restore_status(threat: ModelThreat, memo: Memo, now: int) -> None:
    """As before, unless somebody decided it since; what raises or the counts say, holds."""
    before, after = memo.before, memo.after
    if threat.decided <= after.revision:
        if "snoozed" in (before.status, after.status):
            threat.snoozed_until = before.snoozed_until
            recalled = before.level > 1
            threat.entered = memo.at if recalled else before.entered
            threat.decays_from = memo.at if recalled else before.decays_from
        threat.status, threat.status_severity = before.status, before.status_severity
        threat.outcome = before.outcome
    if threat.raised():
        threat.reopen_as_raised(now)
    elif threat.status == "dismissed" and threat.dismissals <= threat.escalations:
        threat.set_status("open", now)
