-- What each act does to a threat (DESIGN 2). Every verb decides in tables and answers {code, extra}.

local COUNTS = {view = 'views', escalate = 'escalations', dismiss = 'dismissals'}
local INTERACTIONS = {view = true, escalate = true, dismiss = true, monitor = true,
  investigate = true}
local REFUSED_TO_OTHERS = {dismiss = true, decide = true}

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

local function change_status(state, verb)
  local header = state.header
  if header.status == CLOSED then
    return
  elseif verb == 'escalate' then
    Desk.decide_status(state, OPEN)
  elseif verb == 'dismiss' and header.dismissals > header.escalations then
    Desk.decide_status(state, DISMISSED)
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
  change_status(state, act.verb)
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
  Desk.decide_status(state, CLOSED)
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
  Desk.decide_status(state, OPEN)
  act.told = act.args[1]
  Desk.tell(desk, 'reopen', state, act)
  Moves.judge_again(state, desk.rules, desk.now)
  if state.header.level > level then
    Desk.tell(desk, 'promotion', state, act)
  end
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
  investigate = interact, decide = decide, reopen = reopen, comment = comment, undo = Undo.undo,
  recall = recall_it, allow = allow, erase = erase, claim = Claims.claim, takeover = Claims.takeover,
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
