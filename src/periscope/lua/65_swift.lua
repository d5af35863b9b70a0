-- The usual act by a short way: a first look at an open threat of level 1, which nobody holds and nobody
-- dismissed, and which does not become eligible by it. Nearly all that analysts do is of this kind, and it
-- costs half without the tables that the other verbs decide in. Whatever is not of this kind takes the long
-- way (64_verbs.lua); tests/lua/test_swift.py proves that both ways leave the same store.

-- The header up to the last activity; what stands behind it does not change here.
local FRONT = '<BBBBBBBI4I4I4I4I4I4I2I2I6I6'
local WHOLE = FRONT .. 'c41'
local TAIL = 48
local SEVERITY = 68
local USUAL = {view = true, monitor = true, investigate = true, escalate = true}

-- What the shared rules need to know of a header; there is one, since nothing keeps it.
local usual = {level = LEVEL_WORKING, home = 0, status = OPEN}

-- The analyst's interactions with the threat, this one counted.
local function count_of(field)
  return field and cmsgpack.unpack(field)[1] + 1 or 1
end

local function write_later(desk, act, header, count, revision)
  local lists, size = desk.swift, #desk.swift
  lists[size + 1], lists[size + 2], lists[size + 3] = act.key, header, act.analysts_key
  lists[size + 4], lists[size + 5] = act.analyst, Desk.pack_field(desk, act, count)
  lists[size + 6] = act.verb == 'escalate' and integer(revision)
end

-- Carry out `act` if it is usual: its reply as `Desk.carry_out` gives it; else nil, and nothing is changed.
-- The second value is what the analysts key holds of {analyst, claim}, if it was read.
function Swift.carry_out(desk, act, record)
  if not USUAL[act.verb] or #record < HEADER_BYTES then
    return nil
  end
  local format, level, home, status, status_severity, flags, outcome, revision, interactions,
    escalations, dismissals, views, sightings, analysts, consolidations, first_seen, last =
    struct.unpack(FRONT, record)
  if format ~= FORMAT or level ~= LEVEL_WORKING or home ~= 0 or status ~= OPEN or dismissals > 0
    or has(flags, FLAG_LATCHED) then
    return nil
  end
  local found = redis.call('HMGET', act.analysts_key, act.analyst, '')
  local count = count_of(found[1])
  usual.severity = string.byte(record, SEVERITY)
  usual.last_activity, usual.interactions = math.max(last, desk.now), interactions + 1
  usual.escalations = escalations + (act.verb == 'escalate' and 1 or 0)
  usual.analysts = count == 1 and math.min(65535, analysts + 1) or analysts
  if found[2] or Moves.is_eligible(usual, desk.rules, desk.now) then
    return nil, found
  end
  local header = struct.pack(WHOLE, format, level, home, status, status_severity, flags, outcome,
    revision + 1, usual.interactions, usual.escalations, dismissals,
    views + (act.verb == 'view' and 1 or 0), sightings, usual.analysts, consolidations, first_seen,
    usual.last_activity, string.sub(record, TAIL, HEADER_BYTES))
  Index.add(desk.writes, 'board', board_place(desk.rules, usual), act.id)
  if interactions == 0 and last ~= first_seen then
    Index.remove(desk.writes, 'exceptions', act.id)
  end
  write_later(desk, act, header, count, revision + 1)
  local packed_id = cmsgpack.pack(act.id)
  Desk.note(desk, act, packed_id, header, nil, Desk.pack_before(OPEN, status_severity, outcome, last,
    nil, found[1], flags))
  Desk.note_event(desk, act.packed_verb, packed_id, act.packed_analyst, level, OPEN)
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
