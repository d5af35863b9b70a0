-- What the desk notes of each act: the analyst's last act, the event, the audit entry, the memo. They are
-- joined from packed parts, since cmsgpack takes three times as long for the table as `..` for its parts:
-- '\144' begins an array of none, '\149' one of five; '\160' is the empty text.

local NONE = '\160'
local DONE = '\164DONE'
local HEADER_HEAD = '\217\88'    -- a text of HEADER_BYTES

-- The head of an array of so many.
local function array_head(count)
  return count < 16 and string.char(144 + count) or '\221' .. struct.pack('>I4', count)
end

-- What this analyst did last to the threat: {interactions, verb, ms, request}; nil if nothing.
function Desk.last_act(state, analyst)
  local packed = Desk.field(state, analyst)
  return packed and cmsgpack.unpack(packed)
end

function Desk.note_act(desk, state, act, interactions)
  local last = Desk.last_act(state, act.analyst)
  local count = (last and last[1] or 0) + interactions
  Desk.set_field(state, act.analyst, '\148' .. cmsgpack.pack(count) .. act.packed_verb
    .. desk.packed_now .. act.packed_request)
  if interactions > 0 and count == interactions then
    state.header.analysts = math.min(65535, state.header.analysts + 1)
  end
end

-- An event: {kind, id, analyst, level, status, detail}.
function Desk.tell(desk, kind, state, act, detail)
  local header = state.header
  desk.events[#desk.events + 1] = '\150' .. (act and act.verb == kind and act.packed_verb or cmsgpack.pack(kind))
    .. state.packed_id .. (act and act.packed_analyst or NONE)
    .. string.char(header.level, header.status) .. (detail and cmsgpack.pack(detail) or NONE)
end

-- An audit entry: {verb, id, analyst, request, told}.
local function audit(desk, act, packed_id)
  desk.audit[#desk.audit + 1] = '\149' .. act.packed_verb .. packed_id .. act.packed_analyst
    .. act.packed_request .. (act.told and cmsgpack.pack(act.told) or NONE)
end

-- The audit entry of a threat that `actor` removed.
function Desk.audit_removal(desk, state, actor)
  desk.audit[#desk.audit + 1] = '\149' .. cmsgpack.pack('remove') .. state.packed_id
    .. cmsgpack.pack(actor) .. NONE .. NONE
end

-- What of a threat an undo needs, taken before the act: {status, its severity, outcome, last activity,
-- latch, the analyst's field, flags}.
local function snapshot(state, act)
  local header, field = state.header, Desk.field(state, act.analyst)
  return '\151' .. string.char(header.status, header.status_severity, header.outcome)
    .. cmsgpack.pack(header.last_activity) .. (state.latch and cmsgpack.pack(state.latch) or NONE)
    .. (field and cmsgpack.pack(field) or NONE) .. string.char(header.flags)
end

-- What the act asked for beside its verb: the same id for something else is a mistake to be told.
local function digest(act)
  return act.args[1] and redis.sha1hex(cmsgpack.pack(act.args)) or ''
end

-- Remember what an act did, and its reply: {verb, analyst, id, word, extra, ms, header, before, digest}.
local function remember(desk, act, state, reply, before)
  local packed_id = state and state.packed_id or cmsgpack.pack(act.id)
  reply.header = state and Desk.packed(state) or ''
  local memo = '\153' .. act.packed_verb .. act.packed_analyst .. packed_id .. DONE
    .. (reply.extra and cmsgpack.pack(reply.extra) or NONE) .. desk.packed_now
    .. (state and HEADER_HEAD .. reply.header or NONE) .. before
    .. (act.args[1] and cmsgpack.pack(digest(act)) or NONE)
  desk.known[act.field] = memo
  desk.memos[#desk.memos + 1], desk.memos[#desk.memos + 2] = act.field, memo
  audit(desk, act, packed_id)
end

-- What is remembered under a field, in this call or before it; nil if nothing is.
function Desk.remembered(desk, field)
  local memo = desk.known[field] or Memory.find(desk.keys, field)
  return memo and cmsgpack.unpack(memo) or nil
end

local function again(act, memo)
  if memo[1] ~= act.verb or memo[2] ~= act.analyst or memo[3] ~= act.id or memo[9] ~= digest(act) then
    return {code = 'CONFLICT'}
  end
  return {code = 'AGAIN', extra = memo[5], header = memo[7], at = memo[6]}
end

-- Carry out one act: {code, extra, header}; see `periscope_act` for the words. `memo` is what was
-- remembered of it before this call; `record` the threat's, if it was read already.
function Desk.carry_out(desk, act, memo, record)
  memo = desk.known[act.field] or memo
  if memo then
    return again(act, cmsgpack.unpack(memo))
  end
  local state = Desk.threat(desk, act.key, act.analysts_key, act.id, act.analyst, record)
  if not state and not Verbs.needs_no_threat(act) then
    return {code = 'UNKNOWN'}
  end
  local before = state and snapshot(state, act) or NONE
  local reply = Verbs.act(desk, state, act)
  if reply.code == 'DONE' then
    remember(desk, act, state, reply, before)
  end
  return reply
end

-- What is to be audited, packed; refused here if there is no room for it.
function Desk.audit_payload(desk)
  if #desk.audit == 0 then
    return nil
  end
  local payload = '\146' .. desk.packed_now .. array_head(#desk.audit) .. table.concat(desk.audit)
  Log.check_audit(desk.seen.audit_bytes or 0, desk.rules, Log.bytes(payload))
  return payload
end

-- Append to both streams what this call did: one entry each.
function Desk.log(desk, audited)
  local events = #desk.events > 0 and '\146' .. desk.packed_now .. array_head(#desk.events)
    .. table.concat(desk.events)
  Log.append(desk.keys, desk.seen, desk.rules.events_limit, events, audited)
end
