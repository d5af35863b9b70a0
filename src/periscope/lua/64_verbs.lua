-- What each act does to a threat (DESIGN 2). Every verb decides in tables and answers {code, extra}.

local COUNTS = {view = 'views', escalate = 'escalations', dismiss = 'dismissals'}
local INTERACTIONS = {view = true, escalate = true, dismiss = true, monitor = true,
  investigate = true}
local REFUSED_TO_OTHERS = {dismiss = true, decide = true, snooze = true}
local LONGEST_SNOOZE = 315619200000   -- ms: ten years

-- The header's field that an interaction counts in, beside `interactions`; nil for some.
function Verbs.count_of(verb)
  return COUNTS[verb]
end

function Verbs.is_interaction(verb)
  return INTERACTIONS[verb] ~= nil
end

-- Where the reply is remembered: undo is remembered beside what it takes back.
function Verbs.field_of(verb, request)
  return (verb == 'undo' and '-' or '.') .. request
end

function Verbs.needs_no_threat(act)
  return act.verb == 'allow' or act.verb == 'undo' or act.verb == 'erase'
end

-- Back to level 1, if the threat is not there.
local function recall(desk, state, act, opens)
  local from = state.header.level
  if from ~= LEVEL_WORKING then
    Moves.recall(state, desk.now, opens)
    state.changed, state.packed = true, nil
    Desk.tell(desk, 'recall', state, act, from)
  end
  return from
end

-- An interaction decides anew whether the threat is eligible; a recall alone does not make it so.
local function decide_latch(desk, state, verb)
  local header, rules = state.header, desk.rules
  local may = header.status == OPEN and (header.home == 0 or has(header.flags, FLAG_ESCALATED))
  local eligible = verb ~= 'dismiss' and may and Moves.is_eligible(header, rules, desk.now)
  Desk.latch(state, eligible and Score.of(rules, header, desk.now) or nil)
end

local function change_status(desk, state, verb)
  local header = state.header
  if header.status == CLOSED then
    return
  elseif verb == 'escalate' then
    Desk.decide_status(desk, state, OPEN)
  elseif verb == 'dismiss' and header.dismissals > header.escalations then
    Desk.decide_status(desk, state, DISMISSED)
  end
end

local function interact(desk, state, act)
  local header = state.header
  recall(desk, state, act, false)
  Desk.changed(state)
  header.interactions = header.interactions + 1
  local count = COUNTS[act.verb]
  if count then
    header[count] = header[count] + 1
  end
  header.last_activity = math.max(header.last_activity, desk.now)
  if act.verb == 'escalate' and header.home ~= 0 then
    mark(header, FLAG_ESCALATED, true)
  end
  Desk.note_act(desk, state, act, 1)
  change_status(desk, state, act.verb)
  decide_latch(desk, state, act.verb)
  Claims.renew(state, act.analyst, desk.now)
  Desk.tell(desk, act.verb, state, act)
  return {code = 'DONE'}
end

local function tell_promotion(desk, state, act, again)
  Desk.tell(desk, again and 'consolidation' or 'promotion', state, act)
end

-- decide, with args outcome (1 to 7), told: an outcome closes the threat; true positive promotes it.
local function decide(desk, state, act)
  local header, outcome = state.header, act.args[1]
  Desk.changed(state)
  header.outcome = outcome
  Desk.note_act(desk, state, act, 0)
  Desk.decide_status(desk, state, CLOSED)
  Desk.latch(state, nil)
  Claims.drop(state)
  act.told = act.args[2]
  Desk.tell(desk, 'decide', state, act, outcome)
  if header.level ~= LEVEL_WORKING then
    local level = header.level
    Moves.judge_again(state, desk.rules, desk.now)
    if header.level > level then
      Desk.tell(desk, 'promotion', state, act)
    end
  elseif Moves.is_true_positive(outcome) then
    local again = Moves.promote(state, desk.rules, Score.of(desk.rules, header, desk.now), desk.now)
    tell_promotion(desk, state, act, again)
  end
  return {code = 'DONE'}
end

-- reopen, with args told: open again, without outcome.
local function reopen(desk, state, act)
  local level = state.header.level
  Desk.changed(state)
  state.header.outcome = 0
  Desk.note_act(desk, state, act, 0)
  Desk.decide_status(desk, state, OPEN)
  act.told = act.args[1]
  Desk.tell(desk, 'reopen', state, act)
  Moves.judge_again(state, desk.rules, desk.now)
  if state.header.level > level then
    Desk.tell(desk, 'promotion', state, act)
  end
  return {code = 'DONE'}
end

-- When a snooze ends that is to last until a moment, or for so long: 0 if only a raise ends it. The second
-- value is a word where it cannot be.
local function end_of_snooze(now, until_ms, for_ms)
  if type(until_ms) ~= 'number' or type(for_ms or 0) ~= 'number' then
    refuse('BAD_CALL', 'a snooze ends at a number of milliseconds')
  end
  local ends = math.floor(for_ms and now + for_ms or until_ms)
  if ends == 0 and not for_ms then
    return 0
  elseif not (ends > now) then
    return nil, 'PAST'
  elseif ends - now > LONGEST_SNOOZE or ends >= SPAN then
    return nil, 'TOO_FAR'
  end
  return ends
end

-- Closed, and a recall would leave it so?
local function is_closed(header)
  return header.status == CLOSED and (header.level == LEVEL_WORKING or Moves.is_withdrawn(header))
end

-- snooze, with args until_ms (0: only until it gets worse), note, for_ms (instead of until_ms): out of the
-- queue until then.
local function snooze(desk, state, act)
  local header = state.header
  local ends, why_not = end_of_snooze(desk.now, act.args[1], act.args[3])
  if why_not or is_closed(header) then
    return {code = why_not or 'CLOSED'}
  end
  recall(desk, state, act, false)
  Desk.changed(state)
  Desk.note_act(desk, state, act, 0)
  Moves.snooze(header, ends)
  Desk.note_decision(state)
  Desk.latch(state, nil)
  Claims.drop(state)
  ends = ends > 0 and ends or nil
  act.told = cjson.encode({note = act.args[2], until_ms = ends})
  Desk.tell(desk, 'snooze', state, act, ends)
  return {code = 'DONE'}
end

-- comment, with args told: on record, and nothing else.
local function comment(desk, state, act)
  act.told = act.args[1]
  Desk.tell(desk, 'comment', state, act)
  return {code = 'DONE'}
end

-- recall: back to work, open; extra is the level that the threat was in.
local function recall_it(desk, state, act)
  local from = recall(desk, state, act, true)
  if from ~= LEVEL_WORKING then
    Desk.changed(state)
  end
  return {code = 'DONE', extra = from}
end

-- allow: reports of a removed id are taken in again.
local function allow(desk, _, act)
  if redis.call('HEXISTS', desk.keys.removed, act.id) == 0 or desk.allowed[act.id] then
    return {code = 'NOT_REMOVED'}
  end
  desk.allowed[act.id] = true
  local nowhere = {header = {level = 0, status = OPEN}, packed_id = cmsgpack.pack(act.id)}
  Desk.tell(desk, 'allow', nowhere, act)
  return {code = 'DONE'}
end

-- erase: nothing is remembered of a threat that departed.
local function erase(desk, _, act)
  desk.erased[act.id] = true
  return {code = 'DONE'}
end

local ACTS = {view = interact, escalate = interact, dismiss = interact, monitor = interact,
  investigate = interact, decide = decide, reopen = reopen, snooze = snooze, comment = comment,
  undo = Undo.undo, recall = recall_it, allow = allow, erase = erase, claim = Claims.claim, takeover = Claims.takeover,
  next = Claims.next, release = Claims.release}

local packed_verbs = {}

-- A verb in msgpack; nil for one that this library does not know.
function Verbs.packed(verb)
  local packed = packed_verbs[verb]
  if not packed and ACTS[verb] then
    packed = cmsgpack.pack(verb)
    packed_verbs[verb] = packed
  end
  return packed
end

function Verbs.act(desk, state, act)
  if REFUSED_TO_OTHERS[act.verb] and Claims.is_anothers(state, act.analyst, desk.now) then
    return {code = 'CLAIMED', extra = cmsgpack.unpack(Desk.field(state, ''))}
  end
  return ACTS[act.verb](desk, state, act)
end
