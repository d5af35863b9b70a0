-- The last step of a departure: the archive has the record, now the store lets go of it. The answer is kept
-- under the batch's id until the archive has confirmed it, so that no crash leaves a doubt.

local VOID = 'VOID'
local REASONS = {seen = 'archived_seen', unseen = 'archived_unseen', removed = 'removed'}

local function check(named)
  local seen = Memory.check_types(named)
  for _, name in ipairs({'archived_seen', 'archived_unseen', 'removed'}) do
    local count = redis.call('HGET', named.ledger, name)
    if count and not string.match(count, '^%d+$') then
      refuse('DAMAGED', 'a counter of the ledger is not a number')
    end
  end
  if not (Memory.may_write(named) and redis.acl_check_cmd('UNLINK', named.board)
    and redis.acl_check_cmd('HSET', named.stubs, '', '') and redis.acl_check_cmd('ZADD', named.board, '0', '')
    and redis.acl_check_cmd('HINCRBY', named.ledger, '', '0')) then
    refuse('NOPERM', 'departures need the write commands that docs/how-to/own-server.md lists')
  end
  return seen
end

-- Why the threat may leave now: 'seen', 'unseen', 'removed'; nil if it stays.
local function reason_of(desk, state, revision, removed)
  if not state or state.header.revision ~= revision then
    return nil
  elseif removed then
    return 'removed'
  elseif Index.overtaken(desk.keys, desk.rules, state, desk.now) ~= 'expired' then
    return nil
  end
  return state.header.interactions > 0 and 'seen' or 'unseen'
end

-- What analysts did, for the stub: without the claim and the status's revision.
local function analysts_of(state)
  local fields, kept = Memory.analysts(state.analysts_key), {}
  for position = 1, #fields, 2 do
    if fields[position] ~= '' and fields[position] ~= '\1' then
      kept[#kept + 1], kept[#kept + 2] = fields[position], fields[position + 1]
    end
  end
  return kept
end

-- Everything that must go, or stay as a memory, when a threat leaves.
local function leave(desk, writes, state, reason)
  local id, header = state.id, state.header
  Index.change(writes.indexes, id, state.before, nil)
  writes.claims[#writes.claims + 1] = id
  writes.gone[#writes.gone + 1], writes.gone[#writes.gone + 2] = state.key, state.analysts_key
  writes.reasons[reason] = (writes.reasons[reason] or 0) + 1
  Desk.tell(desk, reason == 'removed' and 'removed' or 'expired', state, {packed_analyst = cmsgpack.pack(writes.actor)}, reason)
  if reason == 'removed' then
    writes.removed[#writes.removed + 1] = id
    Desk.audit_removal(desk, state, writes.actor)
  else
    local words = has(header.flags, FLAG_SOURCES) and redis.call('HGET', desk.keys.sources, id) or ''
    writes.stubs[#writes.stubs + 1] = id
    writes.stubs[#writes.stubs + 1] = Memory.pack_stub(pack_header(header), words, analysts_of(state))
  end
end

local function write(desk, writes)
  local keys = desk.keys
  Index.flush(keys, writes.indexes)
  redis.call('UNLINK', unpack(writes.gone))
  redis.call('ZREM', keys.claims, unpack(writes.claims))
  redis.call('HDEL', keys.sources, unpack(writes.claims))
  for position = 1, #writes.stubs, 2 do
    redis.call('HSET', keys.stubs, writes.stubs[position], writes.stubs[position + 1])
    redis.call('ZADD', keys.stub_ages, integer(desk.now), writes.stubs[position])
  end
  for _, id in ipairs(writes.removed) do
    redis.call('HSET', keys.removed, id, cmsgpack.pack({desk.now, writes.actor}))
  end
  for reason, count in pairs(writes.reasons) do
    redis.call('HINCRBY', keys.ledger, REASONS[reason], integer(count))
  end
end

-- Words for the threats of a batch, and what is to be written.
local function decide(desk, keys, args, length)
  local writes = {indexes = Index.writes(), claims = {}, gone = {}, reasons = {}, stubs = {},
    removed = {}, actor = args[4]}
  local words, first, removed = {}, desk.keys.first, args[4] ~= ''
  for position = first, #keys, 2 do
    local at = (position - first) / 2
    local state = Desk.threat(desk, {key = keys[position], analysts_key = keys[position + 1],
      id = string.sub(keys[position], length + 1)})
    local reason = reason_of(desk, state, tonumber(args[5 + at]), removed)
    if reason then
      leave(desk, writes, state, reason)
    end
    words[#words + 1] = reason and 'd' or 'k'
  end
  return words, writes
end

-- periscope_depart: let go of archived threats, each only if it is as it was archived.
-- Why: expiry is a move; a threat that was touched since stays, and its row is taken back.
-- KEYS: singles..., pair...
-- ARGV: policy, now_ms, batch, actor, revision...
-- Returns: {now_ms, words}: a letter for each, d departed, k kept; 'VOID' if the batch was given up. The
--   same batch again answers the first reply. With an actor the threats are removed, not expired.
local function depart(keys, args)
  local named = partition_keys(keys)
  local earlier = redis.call('HGET', named.departures, args[3])
  if earlier then
    return {clock(args[2]), string.match(earlier, '^%S+')}
  end
  local desk = Desk.open(named, check(named), args[1], args[2])
  local words, writes = decide(desk, keys, args, #record_prefix(named.meta))
  local text, audit = table.concat(words), Desk.audit_payload(desk)
  -- first write
  if #writes.gone > 0 then
    write(desk, writes)
    Desk.log(desk, audit)
    Memory.forget_stubs(named, desk.rules, desk.now, #words)
  end
  redis.call('HSET', named.departures, args[3], text .. ' ' .. integer(desk.now))
  bring_forward(named.meta, desk.here, desk.rules)
  return {desk.now, text}
end

-- periscope_resolve: what became of a batch of which no answer came; if nothing, it never will.
-- Why: a worker was killed between the archive and the store; a late call of it must do nothing.
-- KEYS: meta, departures
-- ARGV: batch, now_ms
-- Returns: the words of periscope_depart, or VOID
local function resolve(keys, args)
  partition_revision(keys[1])
  local words = redis.call('HGET', keys[2], args[1])
  if words then
    return string.match(words, '^%S+')
  end
  -- first write
  redis.call('HSET', keys[2], args[1], VOID .. ' ' .. integer(clock(args[2])))
  return VOID
end

-- periscope_confirm: the archive has confirmed these batches: forget their answers.
-- Why: what is kept for the case of a crash must not grow.
-- KEYS: departures
-- ARGV: batch...
-- Returns: how many were there
local function confirm(keys, args)
  -- first write
  return redis.call('HDEL', keys[1], unpack(args))
end

-- periscope_forget: forget stubs that are too old or too many.
-- Why: memory of the departed is bounded; a step deletes a bounded number.
-- KEYS: singles...
-- ARGV: policy, now_ms, most
-- Returns: how many were forgotten
local function forget(keys, args)
  local named, rules = partition_keys(keys), Score.policy(args[1])
  partition_revision(named.meta)
  check(named)
  -- first write
  return Memory.forget_stubs(named, rules, clock(args[2]), tonumber(args[3]))
end

redis.register_function{function_name = 'periscope_depart', callback = depart, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_resolve', callback = resolve, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_confirm', callback = confirm, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_forget', callback = forget, flags = {'allow-oom'}}
