-- What the desk notes of each act: the analyst's last act, the event, the audit entry, the memo. They are
-- joined from packed parts, since cmsgpack takes three times as long for a table as `..` for its parts:
-- '\146' begins an array of two in msgpack, '\153' one of nine; '\160' is the empty text.

local NONE = '\160'
local DONE = '\164DONE'
local HEADER_HEAD = '\217\88'    -- a text of HEADER_BYTES

-- The head of an array of so many.
local function array_head(count)
  return count < 16 and string.char(144 + count) or '\221' .. struct.pack('>I4', count)
end

local text_heads = {}

-- A text in msgpack. The head of one depends on its length only: kept, it need not be made each time.
function Desk.pack_text(text)
  local head = text_heads[#text]
  if not head then
    head = string.sub(cmsgpack.pack(text), 1, -#text - 1)
    text_heads[#text] = head
  end
  return head .. text
end

local function packed_or_none(value)
  return value and cmsgpack.pack(value) or NONE
end

-- What this analyst did last to the threat: {interactions, verb, ms, request}; nil if nothing.
function Desk.last_act(state, analyst)
  local packed = Desk.field(state, analyst)
  return packed and cmsgpack.unpack(packed)
end

-- What stands in the analysts hash from this act on, the analyst's interactions with the threat being `count`.
function Desk.pack_field(desk, act, count)
  return '\148' .. cmsgpack.pack(count) .. act.packed_verb .. desk.packed_now .. act.packed_request
end

function Desk.note_act(desk, state, act, interactions)
  local last = Desk.last_act(state, act.analyst)
  local count = (last and last[1] or 0) + interactions
  Desk.set_field(state, act.analyst, Desk.pack_field(desk, act, count))
  if interactions > 0 and count == interactions then
    state.header.analysts = math.min(65535, state.header.analysts + 1)
  end
end

-- An event: {kind, id, analyst, level, status, detail}.
function Desk.note_event(desk, kind, id, analyst, level, status, detail)
  desk.events[#desk.events + 1] = '\150' .. kind .. id .. analyst .. string.char(level, status)
    .. packed_or_none(detail)
end

function Desk.tell(desk, kind, state, act, detail)
  Desk.note_event(desk, cmsgpack.pack(kind), state.packed_id, act and act.packed_analyst or NONE,
    state.header.level, state.header.status, detail)
end

-- An audit entry: {verb, id, analyst, request, told}; it is counted by its verb, which is a short text.
local function note_audit(desk, verb, id, analyst, request, told)
  local name = string.sub(verb, 2)
  desk.counted[name] = (desk.counted[name] or 0) + 1
  desk.audit[#desk.audit + 1] = '\149' .. verb .. id .. analyst .. request .. packed_or_none(told)
end

-- The audit entry of a threat that `actor` removed.
function Desk.audit_removal(desk, state, actor)
  note_audit(desk, cmsgpack.pack('remove'), state.packed_id, cmsgpack.pack(actor), NONE)
end

-- What of a threat an undo needs, from before the act: {status, its severity, outcome, last activity, latch,
-- the analyst's field, flags}; a latch or field that is not there is the empty text. Where a snooze begins or
-- may end there is one more: `entered`.
function Desk.pack_before(status, status_severity, outcome, last_activity, latch, field, flags, entered)
  return (entered and '\152' or '\151') .. string.char(status, status_severity, outcome)
    .. cmsgpack.pack(last_activity) .. packed_or_none(latch) .. packed_or_none(field) .. string.char(flags)
    .. (entered and cmsgpack.pack(entered) or '')
end

-- When it came where it is, or its snooze ends; what is of level 2 or 3 is recalled just now.
local function entered_before(desk, header, act)
  if header.status == SNOOZED or act.verb == 'snooze' then
    return header.level == LEVEL_WORKING and header.entered or desk.now
  end
end

local function before_of(desk, state, act)
  local header = state.header
  return Desk.pack_before(header.status, header.status_severity, header.outcome, header.last_activity,
    state.latch, Desk.field(state, act.analyst), header.flags, entered_before(desk, header, act))
end

-- What the act asked for beside its verb: the same id for something else is a mistake to be told.
local function digest(act)
  return act.args and act.args[1] and redis.sha1hex(cmsgpack.pack(act.args)) or ''
end

-- Note what was done: the audit entry, and the memo {verb, analyst, id, word, extra, ms, header, before, digest}.
function Desk.note(desk, act, id, header, extra, before)
  local memo = '\153' .. act.packed_verb .. act.packed_analyst .. id .. DONE .. packed_or_none(extra)
    .. desk.packed_now .. (header ~= '' and HEADER_HEAD .. header or NONE) .. before
    .. (act.args and act.args[1] and cmsgpack.pack(digest(act)) or NONE)
  desk.known[act.field] = memo
  desk.memos[#desk.memos + 1], desk.memos[#desk.memos + 2] = act.field, memo
  note_audit(desk, act.packed_verb, id, act.packed_analyst, act.packed_request, act.told)
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

-- Carry out one act the long way. `record` is the threat's, if it was read already; `found` what its analysts
-- key holds of {analyst, claim}.
local function decide(desk, act, record, found)
  local state = Desk.threat(desk, act, record, found)
  if not state and not Verbs.needs_no_threat(act) then
    return {code = 'UNKNOWN'}
  end
  local before = state and before_of(desk, state, act) or NONE
  local reply = Verbs.act(desk, state, act)
  if reply.code == 'DONE' then
    reply.header = state and Desk.packed(state) or ''
    Desk.note(desk, act, state and state.packed_id or cmsgpack.pack(act.id), reply.header,
      reply.extra, before)
  end
  return reply
end

-- Carry out one act: {code, extra, header}; see `periscope_act` for the words. `memo` is what was remembered
-- of it before this call; `alone` says that no other act of the call is on the same threat.
function Desk.carry_out(desk, act, memo, record, alone)
  memo = desk.known[act.field] or memo
  if memo then
    return again(act, cmsgpack.unpack(memo))
  end
  local reply, found
  if alone and record then
    reply, found = Swift.carry_out(desk, act, record)
  end
  return reply or decide(desk, act, record, found)
end

-- What is to be audited, packed; refused here if there is no room for it. The acts are added up on the way.
function Desk.audit_payload(desk)
  if #desk.audit == 0 then
    return nil
  end
  local payload = '\146' .. desk.packed_now .. array_head(#desk.audit) .. table.concat(desk.audit)
  Log.check_audit(desk.seen.audit_bytes or 0, desk.rules, Log.bytes(payload))
  desk.sums = Log.count_acts(desk.keys, desk.counted)
  return payload
end

-- Append to both streams what this call did: one entry each.
function Desk.log(desk, audited)
  local events = #desk.events > 0 and '\146' .. desk.packed_now .. array_head(#desk.events)
    .. table.concat(desk.events)
  Log.append(desk.keys, desk.seen, desk.rules.events_limit, events, audited, desk.sums)
end
