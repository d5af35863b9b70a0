-- The desk: one call of analysts' acts on threats of one partition. Acts are decided one by one, in the
-- order given, in tables; everything that they change is written in one step at the end.

-- What analysts did to a threat stands in a hash: analyst -> {interactions, last verb, ms, request}.
-- The claim has the empty name, and DECIDED the revision at which the status was decided last.
local DECIDED = '\1'      -- no analyst's name: those have no control characters

-- A call on these keys under this policy, which must not be older than the partition's.
function Desk.open(keys, policy, now_ms)
  local rules, now = Score.policy(policy), clock(now_ms)
  return {here = writers_revision(keys.meta, rules.revision), keys = keys, rules = rules, now = now,
    states = {}, order = {}, memos = {}, known = {}, events = {}, audit = {}, allowed = {}, erased = {},
    only_done = redis.call('EXISTS', keys.done_before) == 0}
end

-- Everything that `write` relies on: types and rights. `own` is where the pairs begin among the keys.
function Desk.check(named, keys, own)
  Memory.check_types(named)
  if keys[own] and not (Memory.may_write(named) and redis.acl_check_cmd('SETRANGE', keys[own], '0', '')
    and redis.acl_check_cmd('HSET', keys[own + 1], '', '')
    and redis.acl_check_cmd('ZADD', named.board, '0', '')
    and redis.acl_check_cmd('HINCRBY', named.meta, '', '0')
    and redis.acl_check_cmd('UNLINK', named.done_before)
    and redis.acl_check_cmd('RENAME', named.done, named.done_before)
    and redis.acl_check_cmd('SET', named.meta, '', 'PX', '1')) then
    refuse('NOPERM', 'acts need the write commands that docs/how-to/own-server.md lists')
  end
end

-- The threat of this record as the desk sees it, with the acts of this call; nil if unknown. What the
-- analyst did to it, and who holds it, is read along.
function Desk.threat(desk, key, analysts_key, id, analyst)
  local state = desk.states[key]
  if state then
    return state
  end
  local record = redis.call('GETRANGE', key, 0, HEADER_BYTES - 1)
  if record == '' then
    return nil
  end
  state = {header = unpack_header(record), id = id, key = key, analysts_key = analysts_key,
    fields = {}, written = {}}
  if analyst then
    local found = redis.call('HMGET', analysts_key, analyst, '')
    state.fields[analyst], state.fields[''] = found[1], found[2]
  end
  Index.load(desk.keys, state, key)
  state.before = Index.places(desk.rules, state)
  desk.states[key] = state
  desk.order[#desk.order + 1] = state
  return state
end

-- The header is another one from now on.
function Desk.changed(state)
  state.changed = true
  state.header.revision = state.header.revision + 1
end

-- A field of the threat's analysts hash, as this call has left it; false if there is none.
function Desk.field(state, name)
  if state.fields[name] == nil then
    state.fields[name] = redis.call('HGET', state.analysts_key, name)
  end
  return state.fields[name]
end

-- Set a field, or (false) remove it.
function Desk.set_field(state, name, value)
  Desk.field(state, name)
  state.fields[name], state.written[name] = value, true
end

-- What this analyst did last to the threat: {interactions, verb, ms, request}; nil if nothing.
function Desk.last_act(state, analyst)
  local packed = Desk.field(state, analyst)
  return packed and cmsgpack.unpack(packed)
end

function Desk.note_act(desk, state, act, interactions)
  local last = Desk.last_act(state, act.analyst)
  local count = (last and last[1] or 0) + interactions
  Desk.set_field(state, act.analyst, cmsgpack.pack({count, act.verb, desk.now, act.request}))
  if interactions > 0 and count == interactions then
    state.header.analysts = math.min(65535, state.header.analysts + 1)
  end
end

-- From this revision on, the status is what this act made it.
function Desk.decide_status(state, status)
  local header = state.header
  if header.status ~= status then
    header.status, header.status_severity = status, status == OPEN and 0 or header.severity
  end
  Desk.set_field(state, DECIDED, integer(header.revision))
end

function Desk.status_revision(state)
  return tonumber(Desk.field(state, DECIDED) or '0')
end

-- Latch or unlatch the threat for promotion.
function Desk.latch(state, score)
  mark(state.header, FLAG_LATCHED, score ~= nil)
  state.latch = score and string.format('%.17g', score)
end

function Desk.tell(desk, kind, state, act, detail)
  local header = state.header
  desk.events[#desk.events + 1] = {kind, state.id, act and act.analyst or '', header.level,
    header.status, detail or ''}
end

-- What of a threat an undo needs, taken before the act.
local function snapshot(state, act)
  local header = state.header
  return {header.status, header.status_severity, header.outcome, header.last_activity,
    state.latch or '', Desk.field(state, act.analyst) or '', header.flags}
end

-- What the act asked for beside its verb: the same id for something else is a mistake to be told.
local function digest(act)
  return act.args[1] and redis.sha1hex(cmsgpack.pack(act.args)) or ''
end

-- Remember what an act did, and its reply.
function Desk.remember(desk, field, act, state, reply, before)
  reply.header = state and pack_header(state.header) or ''
  local memo = {act.verb, act.analyst, act.id, reply.code, reply.extra or '', desk.now, reply.header,
    before or '', digest(act)}
  desk.known[field] = memo
  desk.memos[#desk.memos + 1], desk.memos[#desk.memos + 2] = field, cmsgpack.pack(memo)
end

function Desk.remembered(desk, field)
  return desk.known[field] or Memory.find(desk.keys, field, desk.only_done)
end

-- Carry out one act: {code, extra, header}; see `periscope_act` for the words.
function Desk.carry_out(desk, act)
  local field = Verbs.field_of(act)
  local memo = Desk.remembered(desk, field)
  if memo then
    if memo[1] ~= act.verb or memo[2] ~= act.analyst or memo[3] ~= act.id
      or memo[9] ~= digest(act) then
      return {code = 'CONFLICT'}
    end
    return {code = 'AGAIN', extra = memo[5], header = memo[7], at = memo[6]}
  end
  local state = Desk.threat(desk, act.key, act.analysts_key, act.id, act.analyst)
  if not state and not Verbs.needs_no_threat(act) then
    return {code = 'UNKNOWN'}
  end
  local before = state and snapshot(state, act)
  local reply = Verbs.act(desk, state, act)
  if reply.code == 'DONE' then
    Desk.remember(desk, field, act, state, reply, before)
    desk.audit[#desk.audit + 1] = {act.verb, act.id, act.analyst, act.request, act.told or ''}
  end
  return reply
end

local function write_fields(state)
  local set, gone = {}, {}
  for name in pairs(state.written) do
    local value = state.fields[name]
    if value then
      set[#set + 1], set[#set + 2] = name, value
    else
      gone[#gone + 1] = name
    end
  end
  if #set > 0 then
    redis.call('HSET', state.analysts_key, unpack(set))
  end
  if #gone > 0 then
    redis.call('HDEL', state.analysts_key, unpack(gone))
  end
end

-- What is to be audited, packed; refused here if there is no room for it.
function Desk.audit_payload(desk)
  if #desk.audit == 0 then
    return nil
  end
  local payload = cmsgpack.pack({desk.now, desk.audit})
  Log.check_audit(desk.keys.meta, desk.rules, Log.bytes(payload))
  return payload
end

-- Decide on each threat of a call whose keys are pairs: `decide(desk, state, id)` answers a word.
function Desk.on_pairs(keys, args, decide)
  local named, words = partition_keys(keys), {}
  local desk, length = Desk.open(named, args[1], args[2]), #record_prefix(named.meta)
  Desk.check(named, keys, named.first)
  for position = named.first, #keys, 2 do
    local id = string.sub(keys[position], length + 1)
    local state = Desk.threat(desk, keys[position], keys[position + 1], id)
    words[#words + 1] = state and decide(desk, state, id) or 'UNKNOWN'
  end
  return desk, words
end

-- Write all that the acts changed: nothing here can fail.
function Desk.write(desk, audit)
  local writes = Index.writes()
  for _, state in ipairs(desk.order) do
    if state.changed then
      redis.call('SETRANGE', state.key, 0, pack_header(state.header))
      Index.change(writes, state.id, state.before, Index.places(desk.rules, state))
    end
    write_fields(state)
    Claims.collect(writes, state)
  end
  Index.flush(desk.keys, writes)
  for id in pairs(desk.allowed) do
    redis.call('HDEL', desk.keys.removed, id)
  end
  for id in pairs(desk.erased) do
    redis.call('HDEL', desk.keys.stubs, id)
    redis.call('ZREM', desk.keys.stub_ages, id)
  end
  if desk.token then
    redis.call('HSET', desk.keys.meta, 'token', integer(desk.token))
  end
  Memory.keep(desk.keys, desk.rules, desk.now, desk.memos)
  if audit then
    Log.audit(desk.keys, audit)
  end
  Log.events(desk.keys, desk.rules.events_limit, desk.now, desk.events)
  bring_forward(desk.keys.meta, desk.here, desk.rules)
end
