-- What was done before: the acts that are remembered under their ids, and what analysts did to a threat last.

local function read_memo(keys, request)
  local packed = Memory.find(keys, '.' .. request)
  local memo = packed and cmsgpack.unpack(packed)
  return memo and {memo[1], memo[2], memo[3]} or {}
end

-- periscope_find: the act that is remembered under a request id.
-- Why: whoever takes an act back knows its id, and not the threat.
-- KEYS: meta, done, done_before
-- ARGV: request
-- Returns: {verb, analyst, id}, or {} if nothing is remembered
local function find(keys, args)
  partition_revision(keys[1])
  return read_memo({done = keys[2], done_before = keys[3]}, args[1])
end

-- periscope_find_2: the acts that are remembered under request ids.
-- Why: who takes many acts back knows their ids only, and must not ask each partition for each of them.
-- KEYS: meta, done, done_before
-- ARGV: request...
-- Returns: {{verb, analyst, id}, ...}, in their order; {} where nothing is remembered
local function find_all(keys, args)
  partition_revision(keys[1])
  local found, named = {}, {done = keys[2], done_before = keys[3]}
  for position, request in ipairs(args) do
    found[position] = read_memo(named, request)
  end
  return found
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

redis.register_function{function_name = 'periscope_find', callback = find, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_find_2', callback = find_all, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_desk', callback = desk_of, flags = {'no-writes'}}
