-- The function that analysts' acts go through, whatever they are.

local REPLY_KEPT_MS = '600000'
local MARK_KEPT_MS = '30000'  -- of a chunk whose acts answer for themselves when they come again

-- An act as it came: verb, analyst, request, and what else the verb takes.
local function read_act(packed, key, analysts_key, prefix_length)
  local parts = cmsgpack.unpack(packed)
  if not Verbs.is_known(parts[1]) then
    refuse('BAD_CALL', 'an act that this library does not know')
  end
  return {verb = parts[1], analyst = parts[2], request = parts[3], args = parts[4], key = key,
    analysts_key = analysts_key, id = string.sub(key, prefix_length + 1)}
end

local function read_acts(keys, args, own)
  local acts, length = {}, #record_prefix(keys.by_name.meta)
  for position = 5, #args do
    local at = own + 2 * (position - 5)
    acts[position - 4] = read_act(args[position], keys[at], keys[at + 1], length)
  end
  return acts
end

-- With `first`, one act is wanted, on the first threat that allows it.
local function already_done(desk, acts)
  for position, act in ipairs(acts) do
    if Desk.remembered(desk, Verbs.field_of(act)) then
      return position
    end
  end
end

local SKIPPED = {code = 'SKIPPED'}

local function carry_out(desk, acts, first)
  local replies, done = {}, first and already_done(desk, acts)
  for position, act in ipairs(acts) do
    if done and done ~= position then
      replies[position] = SKIPPED
    else
      local reply = Desk.carry_out(desk, act)
      replies[position] = reply
      done = first and (reply.code == 'DONE' or reply.code == 'AGAIN') and position or done
    end
  end
  return replies
end

-- Replies as they travel: with records, {code, extra, header, body, moment}; else only the words.
local function pack(acts, replies, full, now)
  local packed = {}
  for position, reply in ipairs(replies) do
    if not full then
      packed[position] = reply.code
    else
      local body = reply.header and reply.header ~= ''
        and redis.call('GETRANGE', acts[position].key, HEADER_BYTES, -1) or ''
      packed[position] = {reply.code, cmsgpack.pack(reply.extra or ''), reply.header or '', body,
        reply.at or now}
    end
  end
  return packed
end

-- Words as {word, count, ...}: most chunks have one.
local function runs_of(words)
  local runs = {}
  for _, word in ipairs(words) do
    if runs[#runs - 1] == word then
      runs[#runs] = runs[#runs] + 1
    else
      table.insert(runs, word)
      table.insert(runs, 1)
    end
  end
  return runs
end

-- The reply to a chunk that was carried out before.
local function remembered(packed)
  local now, runs = unpack(cmsgpack.unpack(packed))
  local words = {}
  for position = 1, #runs, 2 do
    for _ = 1, runs[position + 1] do
      words[#words + 1] = runs[position]
    end
  end
  return {now, words}
end

-- periscope_act: carry out analysts' acts on threats of one partition, in the order given.
-- Why: counts, status, claims, eligibility, indexes, audit and events change together or not at all.
-- KEYS: singles..., reply, before, pair...
-- ARGV: policy, now_ms, full, first, act...
-- Returns: {now_ms, {reply, ...}}; a reply is a word, or with `full` {word, extra, header, body, at}. Words:
--   DONE, AGAIN (done before: the first reply), UNKNOWN, CLAIMED, NOT_HELD, TOO_LATE, NOT_LAST,
--   CONFLICT (the id is another act's), NOT_REMOVED, ELSEWHERE, SKIPPED. A pair is a threat's record
--   and analysts keys; an act is msgpack [verb, analyst, request, args]. With `first` acts are tried
--   until one is done. `before` and `reply` are as in periscope_ingest_2; `full` is 0 (only words), 1 (with
--   records), 2 (with records, and another chunk may follow). With records the chunk is carried out again
--   when it comes again: each act remembers for itself.
local function act(keys, args)
  keys.by_name = partition_keys(keys)
  local named = keys.by_name
  local reply, before, own = keys[named.first], keys[named.first + 1], named.first + 2
  local full = args[3] ~= '0'
  local earlier = not full and redis.call('GET', reply)
  if earlier then
    return remembered(earlier)
  end
  if before ~= reply and redis.call('EXISTS', before) == 0 then
    refuse('OUT_OF_ORDER', 'the chunk before this one was refused')
  end
  if (#keys - own + 1) / 2 ~= #args - 4 then
    refuse('BAD_CALL', 'the arguments do not fit the keys')
  end
  if not redis.acl_check_cmd('SET', reply, '', 'PX', '1') then
    refuse('NOPERM', 'acts need the write commands that docs/how-to/own-server.md lists')
  end
  Desk.check(named, keys, own)
  local desk, acts = Desk.open(named, args[1], args[2]), read_acts(keys, args, own)
  local replies = carry_out(desk, acts, args[4] == '1')
  local audit, packed = Desk.audit_payload(desk), pack(acts, replies, full, desk.now)
  -- first write
  Desk.write(desk, audit)
  if not full then
    redis.call('SET', reply, cmsgpack.pack({desk.now, runs_of(packed)}), 'PX', REPLY_KEPT_MS)
  elseif args[3] == '2' then  -- another chunk may follow, and name this one
    redis.call('SET', reply, '-', 'PX', MARK_KEPT_MS)
  end
  return {desk.now, packed}
end

-- periscope_find: the act that is remembered under a request id.
-- Why: whoever takes an act back knows its id, and not the threat.
-- KEYS: meta, done, done_before
-- ARGV: request
-- Returns: {verb, analyst, id}, or {} if nothing is remembered
local function find(keys, args)
  partition_revision(keys[1])
  local memo = Memory.find({done = keys[2], done_before = keys[3]}, '.' .. args[1])
  return memo and {memo[1], memo[2], memo[3]} or {}
end

-- periscope_desk: who holds a threat, and what analysts did to it last.
-- Why: an analyst wants to see it before acting.
-- KEYS: meta, analysts
-- ARGV: now_ms
-- Returns: {now_ms, {name, packed, ...}}: the claim under '', see 60_desk.lua
local function desk_of(keys, args)
  partition_revision(keys[1])
  return {clock(args[1]), redis.call('HGETALL', keys[2])}
end

redis.register_function('periscope_act', act)
redis.register_function{function_name = 'periscope_find', callback = find, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_desk', callback = desk_of, flags = {'no-writes'}}
