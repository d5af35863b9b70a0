-- Filling a partition with what was copied from others. Every step may be repeated: it writes the same.

local MOST_FIELDS = 1000     -- of one HSET

-- May this user do what the steps below do?
local function check_rights(named)
  if not (redis.acl_check_cmd('MSET', named.board, '') and redis.acl_check_cmd('ZADD', named.board, '0', '')
    and redis.acl_check_cmd('HSET', named.sources, '', '')) then
    refuse('NOPERM', 'a move needs the write commands that docs/how-to/own-server.md lists')
  end
end

-- One threat of the call: what it is, and where the next one begins among the arguments.
local function read_threat(keys, args, position, at, length)
  local record, count = args[at], tonumber(args[at + 5])
  local state = {header = unpack_header(record), key = keys[position], record = record,
    id = string.sub(keys[position], length + 1), latch = args[at + 1] ~= '' and args[at + 1],
    age = tonumber(args[at + 2]), claim = args[at + 3], words = args[at + 4],
    analysts_key = keys[position + 1], fields_at = at + 6, fields_end = at + 5 + count}
  local level = state.header.level
  if level < LEVEL_WORKING or level > LEVEL_LONG then
    refuse('DAMAGED', 'a record is in a level that this library does not know')
  elseif level == LEVEL_LONG then
    state.industries = Index.industries(string.sub(record, HEADER_BYTES + 1))
  end
  return state, state.fields_end + 1
end

local function write(named, args, states, indexes, records, sources)
  redis.call('MSET', unpack(records))
  Index.flush(named, indexes)
  if #sources > 0 then
    redis.call('HSET', named.sources, unpack(sources))
  end
  for _, state in ipairs(states) do
    for first = state.fields_at, state.fields_end, MOST_FIELDS do
      redis.call('HSET', state.analysts_key,
        unpack(args, first, math.min(state.fields_end, first + MOST_FIELDS - 1)))
    end
  end
end

-- periscope_adopt: take in threats as they are, with all that belongs to them.
-- Why: indexes are functions of the record and the policy, so they are computed here anew.
-- KEYS: singles..., pair...
-- ARGV: policy, move, threat...
-- Returns: how many threats; each is given as record, latch, age, claim's end, last words of its sources,
--   the number of values that follow, and fields and values of its analysts hash; '' for none
local function adopt(keys, args)
  local named, rules = partition_keys(keys), Score.policy(args[1])
  Move.own(named.meta, args[2])
  Memory.check_types(named)
  check_rights(named)
  local length, at = #record_prefix(named.meta), 3
  local states, indexes, records, sources = {}, Index.writes(), {}, {}
  for position = named.first, #keys, 2 do
    local state
    state, at = read_threat(keys, args, position, at, length)
    states[#states + 1] = state
    records[#records + 1], records[#records + 2] = state.key, state.record
    Index.change(indexes, state.id, nil, Index.places(rules, state))
    if state.claim ~= '' then
      Index.add(indexes, 'claims', state.claim, state.id)
    end
    if state.words ~= '' then
      sources[#sources + 1], sources[#sources + 2] = state.id, state.words
    end
  end
  if #states == 0 or at ~= #args + 1 then
    refuse('BAD_CALL', 'the arguments do not fit the keys')
  end
  -- first write
  write(named, args, states, indexes, records, sources)
  return #states
end

local FILLS = {hash = 'HSET', set = 'ZADD'}

-- periscope_fill: put members into one key of a partition that is being filled.
-- Why: what is remembered of departed and removed threats, of requests, and the ledger come along.
-- KEYS: meta, key
-- ARGV: move, kind, pair...
-- Returns: how many pairs; a pair is field and value of a hash, or score and member of a sorted set. The
--   kind 'new' is a hash in which the first to come stays
local function fill(keys, args)
  Move.own(keys[1], args[1])
  -- first write
  if args[2] == 'new' then
    for position = 3, #args, 2 do
      redis.call('HSETNX', keys[2], args[position], args[position + 1])
    end
  else
    for first = 3, #args, MOST_FIELDS do
      redis.call(FILLS[args[2]], keys[2], unpack(args, first, math.min(#args, first + MOST_FIELDS - 1)))
    end
  end
  return (#args - 2) / 2
end

-- What belongs to a threat, in the shape of an argument of periscope_adopt. A crowd of analysts is left out.
local function carried(named, key, analysts_key, id, most)
  local age, size = redis.call('ZSCORE', named.long, id) or '', redis.call('HLEN', analysts_key)
  return {redis.call('GET', key) or '', redis.call('ZSCORE', named.promotable, id) or '',
    age ~= 'inf' and age or '', redis.call('ZSCORE', named.claims, id) or '',
    redis.call('HGET', named.sources, id) or '', size,
    size > 0 and size <= most and redis.call('HGETALL', analysts_key) or {}}
end

-- periscope_carry: threats with all that belongs to them, from a partition that is fenced by this move.
-- Why: one call for many threats, and both sides of a copy are asked by the same one.
-- KEYS: singles..., pair...
-- ARGV: move, most
-- Returns: {{record, latch, age, claim's end, last words, number of analysts, {field, value, ...}}, ...}:
--   cut after 1 MiB, the rest is asked again; of more than `most` analysts none are given
local function carry(keys, args)
  local named = partition_keys(keys)
  Move.own(named.meta, args[1])
  local found, bytes, length = {}, 0, #record_prefix(named.meta)
  for position = named.first, #keys, 2 do
    local one = carried(named, keys[position], keys[position + 1],
      string.sub(keys[position], length + 1), tonumber(args[2]))
    found[#found + 1], bytes = one, bytes + #one[1]
    if bytes > REPLY_BYTES then
      break
    end
  end
  return found
end

-- periscope_prove: as periscope_inspect, in a partition that is being filled.
-- Why: a copy is looked at, record by record, before anybody relies on it.
-- KEYS: singles..., record...
-- ARGV: policy, move
-- Returns: the words of periscope_inspect
local function prove(keys, args)
  local named = partition_keys(keys)
  Move.own(named.meta, args[2])
  return Move.inspect(named, keys, Score.policy(args[1]))
end

redis.register_function('periscope_adopt', adopt)
redis.register_function('periscope_fill', fill)
redis.register_function{function_name = 'periscope_carry', callback = carry, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_prove', callback = prove, flags = {'no-writes'}}
