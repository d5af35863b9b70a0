-- The desk: one call of analysts' acts on threats of one partition. Acts are decided one by one, in the
-- order given, in tables; everything that they change is written in one step at the end.

-- What analysts did to a threat stands in a hash: analyst -> {interactions, last verb, ms, request}.
-- The claim has the empty name, and DECIDED the revision at which the status was decided last.
local ANSWER_KEPT_MS = '600000'
local DECIDED = '\1'      -- no analyst's name: those have no control characters
Desk.DECIDED = DECIDED

-- A call on these keys under this policy, which must not be older than the partition's. `seen` is what
-- `Desk.check` found.
function Desk.open(keys, seen, policy, now_ms)
  local rules, now = Score.policy(policy), clock(now_ms)
  return {here = writers_revision(keys.meta, rules.revision, seen.state), keys = keys, seen = seen,
    rules = rules, now = now, packed_now = cmsgpack.pack(now), states = {}, order = {}, memos = {},
    known = {}, events = {}, audit = {}, counted = {}, allowed = {}, erased = {},
    writes = Index.writes(), swift = {}}
end

-- Everything that `write` relies on: types and rights. `own` is where the pairs begin among the keys.
function Desk.check(named, keys, own)
  local seen = Memory.check_types(named)
  if keys[own] and not (Memory.may_write(named) and redis.acl_check_cmd('SETRANGE', keys[own], '0', '')
    and redis.acl_check_cmd('HSET', keys[own + 1], '', '')
    and redis.acl_check_cmd('ZADD', named.board, '0', '')
    and redis.acl_check_cmd('HINCRBY', named.meta, '', '0')
    and redis.acl_check_cmd('UNLINK', named.done_before)
    and redis.acl_check_cmd('RENAME', named.done, named.done_before)
    and redis.acl_check_cmd('SET', named.meta, '', 'PX', '1')) then
    refuse('NOPERM', 'acts need the write commands that docs/how-to/own-server.md lists')
  end
  return seen
end

local NOBODY = {false, false}

-- What the analysts key of an act holds of {analyst, claim}. A new threat has revision 1, and each change raises
-- it: where sightings account for all of it, nobody has acted, and only a claim could be there.
function Desk.on_record(desk, act, revision, sightings)
  if revision == sightings + 1
    and (desk.seen.claims == 0 or not redis.call('ZSCORE', desk.keys.claims, act.id)) then
    return NOBODY
  end
  return redis.call('HMGET', act.analysts_key, act.analyst, '')
end

-- The threat of this act ({key, analysts_key, id}, and the analyst if there is one) as the desk sees it, with
-- the acts of this call; nil if unknown. What the analyst did to it, and who holds it, is read along.
-- `record` and `found`, the fields of both, are given where they were read already.
function Desk.threat(desk, act, record, found)
  local state = desk.states[act.key]
  if state then
    return state
  end
  record = record or redis.call('GETRANGE', act.key, 0, HEADER_BYTES - 1)
  if record == '' then
    return nil
  end
  local header, fields = unpack_header(record), {}
  if act.analyst then
    found = found or Desk.on_record(desk, act, header.revision, header.sightings)
    fields = {[act.analyst] = found[1], [''] = found[2]}
  end
  state = {header = header, id = act.id, key = act.key,
    analysts_key = act.analysts_key, fields = fields, written = {}, packed_id = Desk.pack_text(act.id)}
  Index.load(desk.keys, state, act.key)
  state.before = Index.places_before(desk.rules, state)
  desk.states[act.key] = state
  desk.order[#desk.order + 1] = state
  return state
end

-- The header is another one from now on.
function Desk.changed(state)
  state.changed, state.packed = true, nil
  state.header.revision = state.header.revision + 1
end

-- The header packed: an act's reply, its memo and the record share it.
function Desk.packed(state)
  state.packed = state.packed or pack_header(state.header)
  return state.packed
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
  state.fields[name], state.written[name] = value, true
end

-- From this revision on, the status is what this act made it.
function Desk.decide_status(desk, state, status)
  local header = state.header
  if header.status ~= status then
    Moves.set_status(header, status, desk.now)
  end
  Desk.note_decision(state)
end

function Desk.note_decision(state)
  Desk.set_field(state, DECIDED, integer(state.header.revision))
end

function Desk.status_revision(state)
  return tonumber(Desk.field(state, DECIDED) or '0')
end

-- Latch or unlatch the threat for promotion.
function Desk.latch(state, score)
  mark(state.header, FLAG_LATCHED, score ~= nil)
  state.latch = score and string.format('%.17g', score)
end

-- Decide on each threat of a call whose keys are pairs, from `own` on: `decide(desk, state, id)` answers a word.
function Desk.on_pairs(keys, args, decide, own)
  local named, words = partition_keys(keys), {}
  own = own or named.first
  local seen, length = Desk.check(named, keys, own), #record_prefix(named.meta)
  local desk = Desk.open(named, seen, args[1], args[2])
  for position = own, #keys, 2 do
    local id = string.sub(keys[position], length + 1)
    local state = Desk.threat(desk, {key = keys[position], analysts_key = keys[position + 1], id = id})
    words[#words + 1] = state and decide(desk, state, id) or 'UNKNOWN'
  end
  return desk, words
end

-- The answer {now_ms, {word, ...}} that was left under this key; nil if none was.
function Desk.answered(reply)
  local packed = redis.call('GET', reply)
  return packed and cmsgpack.unpack(packed)
end

-- As `on_pairs`, of a call whose pairs come behind the key of its answer; without a desk, the answer that it
-- got when it came before.
function Desk.on_pairs_once(keys, args, decide)
  local own = #SINGLES + 1
  local earlier = Desk.answered(keys[own])
  if earlier then
    return nil, earlier
  end
  return Desk.on_pairs(keys, args, decide, own + 1)
end

-- Leave an answer, so that the same call again gets it. The right to do so was seen by `Desk.check`.
function Desk.leave_answer(reply, answer)
  redis.call('SET', reply, cmsgpack.pack(answer), 'PX', ANSWER_KEPT_MS)
  return answer
end

local function write_fields(state)
  local set, gone = {}, nil
  for name in pairs(state.written) do
    local value = state.fields[name]
    if value then
      set[#set + 1], set[#set + 2] = name, value
    else
      gone = gone or {}
      gone[#gone + 1] = name
    end
  end
  if set[1] then
    redis.call('HSET', state.analysts_key, unpack(set))
  end
  if gone then
    redis.call('HDEL', state.analysts_key, unpack(gone))
  end
end

local function write_threats(desk)
  local writes = desk.writes
  Swift.write(desk)
  for _, state in ipairs(desk.order) do
    if state.changed then
      redis.call('SETRANGE', state.key, 0, Desk.packed(state))
      Index.renew(writes, desk.rules, state)
    end
    write_fields(state)
    Claims.collect(writes, state)
  end
  Index.flush(desk.keys, writes)
end

-- Write all that the acts changed: nothing here can fail.
function Desk.write(desk, audit)
  write_threats(desk)
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
  Memory.keep(desk.keys, desk.rules, desk.seen, desk.now, desk.memos)
  Desk.log(desk, audit)
  bring_forward(desk.keys.meta, desk.here, desk.rules)
end
