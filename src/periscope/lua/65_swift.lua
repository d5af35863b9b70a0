-- The usual act by a short way: an interaction with an open or dismissed threat of level 1, which nobody holds,
-- and which does not become eligible by it. Nearly all that analysts do is of this kind, and it costs half
-- without the tables that the other verbs decide in. Whatever is not of this kind takes the long way
-- (64_verbs.lua); tests/lua/test_swift.py proves that both ways leave the same store.

-- The header up to the last activity; what stands behind it does not change here.
local FRONT = '<BBBBBBBI4I4I4I4I4I4I2I2I6I6'
local WHOLE = FRONT .. 'c41'
local TAIL = 48
local SEVERITY = 68

-- What the shared rules need to know of a header; there is one, since nothing keeps it.
local usual = {level = LEVEL_WORKING, home = 0}

-- The analyst's interactions with the threat, this one counted.
local function count_of(field)
  return field and cmsgpack.unpack(field)[1] + 1 or 1
end

local function one_if(condition)
  return condition and 1 or 0
end

local function write_later(desk, act, header, count, decided)
  local lists, size = desk.swift, #desk.swift
  lists[size + 1], lists[size + 2], lists[size + 3] = act.key, header, act.analysts_key
  lists[size + 4], lists[size + 5] = act.analyst, Desk.pack_field(desk, act, count)
  lists[size + 6] = decided
end

-- What the verb makes of the status; true as well if it decides it.
local function status_after(verb, status)
  if verb == 'escalate' then
    return OPEN, true
  elseif verb == 'dismiss' and usual.dismissals > usual.escalations then
    return DISMISSED, true
  end
  return status, false
end

-- Is this threat one of those that the short way is for?
local function is_usual(format, level, home, status, flags)
  return format == FORMAT and level == LEVEL_WORKING and home == 0
    and (status == OPEN or status == DISMISSED) and not has(flags, FLAG_LATCHED)
end

-- Count the act in `usual`.
local function count(verb, now)
  local escalated, dismissed = one_if(verb == 'escalate'), one_if(verb == 'dismiss')
  usual.last_activity, usual.interactions = math.max(usual.last_activity, now), usual.interactions + 1
  usual.escalations, usual.dismissals = usual.escalations + escalated, usual.dismissals + dismissed
end

-- Carry out `act` if it is usual: its reply as `Desk.carry_out` gives it; else nil, and nothing is changed.
-- The second value is what the analysts key holds of {analyst, claim}, if it was read.
function Swift.carry_out(desk, act, record)
  local verb = act.verb
  if not Verbs.is_interaction(verb) or #record < HEADER_BYTES then
    return nil
  end
  local format, level, home, status, status_severity, flags, outcome, revision, interactions,
    escalations, dismissals, views, sightings, analysts, consolidations, first_seen, last =
    struct.unpack(FRONT, record)
  if not is_usual(format, level, home, status, flags) then
    return nil
  end
  local found = Desk.on_record(desk, act, revision, sightings)
  local times, severity = count_of(found[1]), string.byte(record, SEVERITY)
  usual.status, usual.severity, usual.first_seen, usual.last_activity = status, severity, first_seen, last
  usual.interactions, usual.escalations, usual.dismissals = interactions, escalations, dismissals
  usual.analysts = times == 1 and math.min(65535, analysts + 1) or analysts
  local exception = Index.exception_place(usual)
  count(verb, desk.now)
  local after, decides = status_after(verb, status)
  usual.status = after
  if found[2] or (verb ~= 'dismiss' and after == OPEN and Moves.is_eligible(usual, desk.rules, desk.now)) then
    return nil, found
  end
  local severity_after = after == status and status_severity or (after == OPEN and 0 or severity)
  local header = struct.pack(WHOLE, format, level, home, after, severity_after, flags, outcome,
    revision + 1, usual.interactions, usual.escalations, usual.dismissals, views + one_if(verb == 'view'),
    sightings, usual.analysts, consolidations, first_seen, usual.last_activity,
    string.sub(record, TAIL, HEADER_BYTES))
  Index.add(desk.writes, 'board', board_place(desk.rules, usual), act.id)
  Index.renew_place(desk.writes, 'exceptions', act.id, exception, Index.exception_place(usual))
  write_later(desk, act, header, times, decides and integer(revision + 1))
  local packed_id = Desk.pack_text(act.id)
  Desk.note(desk, act, packed_id, header, nil, Desk.pack_before(status, status_severity, outcome, last,
    nil, found[1], flags))
  Desk.note_event(desk, act.packed_verb, packed_id, act.packed_analyst, level, after)
  return {code = 'DONE', header = header}
end

-- Write what was put off.
function Swift.write(desk)
  local lists = desk.swift
  for at = 1, #lists, 6 do
    redis.call('SETRANGE', lists[at], 0, lists[at + 1])
    if lists[at + 5] then
      redis.call('HSET', lists[at + 2], lists[at + 3], lists[at + 4], Desk.DECIDED, lists[at + 5])
    else
      redis.call('HSET', lists[at + 2], lists[at + 3], lists[at + 4])
    end
  end
end
