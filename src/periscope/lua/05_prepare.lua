-- The control key's own format: 2 once a database was repartitioned or rebuilt. Programs before 0.3 would
-- look for its keys under other names, and refuse it.
local CONTROL_FORMAT = 2

-- periscope_control: what periscope_control_2 does, for programs before 0.3.
-- Why: the first program to come decides; all later ones read the same answer.
-- KEYS: control
-- ARGV: format, partitions, secret, policy
-- Returns: {format, partitions, secret, policy, policy_revision}, all text
local function control(keys, args)
  local key = keys[1]
  local found = redis.call('HGET', key, 'format')
  if found and tonumber(found) > FORMAT then
    refuse('NEWER_FORMAT', 'a database of format ' .. integer(tonumber(found)))
  end
  if not found then
    -- first write
    redis.call('HSET', key, 'format', args[1], 'partitions', args[2], 'secret', args[3],
      'policy', args[4], 'policy_revision', '1')
  end
  return redis.call('HMGET', key, 'format', 'partitions', 'secret', 'policy', 'policy_revision')
end

-- periscope_control_2: read what holds for the whole database, setting it where it is missing.
-- Why: the first program to come decides; all later ones read the same answer.
-- KEYS: control
-- ARGV: partitions, secret, policy, generation
-- Returns: {partitions, secret, policy, policy_revision, generation, moved_to}, all text; moved_to is ''
--   but for a database that has moved to another server
local function control_2(keys, args)
  local key = keys[1]
  local found = redis.call('HGET', key, 'format')
  if found and tonumber(found) > CONTROL_FORMAT then
    refuse_format(key, found)
  end
  if not found then
    -- first write
    redis.call('HSET', key, 'format', args[4] == '0' and FORMAT or CONTROL_FORMAT,
      'partitions', args[1], 'secret', args[2], 'policy', args[3], 'policy_revision', '1',
      'generation', args[4])
  end
  local reply = redis.call('HMGET', key, 'partitions', 'secret', 'policy', 'policy_revision',
    'generation', 'moved_to')
  reply[5], reply[6] = reply[5] or '0', reply[6] or ''
  return reply
end

-- periscope_set_policy: replace the policy if nobody else did meanwhile.
-- Why: two administrators at once must not each believe that theirs holds.
-- KEYS: control
-- ARGV: expected_revision, policy
-- Returns: {'SET' | 'CHANGED', policy_revision}
local function set_policy(keys, args)
  if redis.call('HEXISTS', keys[1], 'move') == 1 then
    refuse('MOVING', 'is being repartitioned or rebuilt; change the policy when that is done')
  end
  local revision = tonumber(redis.call('HGET', keys[1], 'policy_revision'))
  if revision ~= tonumber(args[1]) then
    return {'CHANGED', revision}
  end
  -- first write
  redis.call('HSET', keys[1], 'policy', args[2], 'policy_revision', integer(revision + 1))
  return {'SET', revision + 1}
end

-- periscope_prepare: make a partition ready, and bring its policy revision up to the caller's.
-- Why: a partition knows by itself whether a caller ranks by the rules in force.
-- KEYS: meta
-- ARGV: format, policy_revision, policy
-- Returns: policy_revision
local function prepare(keys, args)
  local state = redis.call('HMGET', keys[1], 'format', 'policy_revision', 'policy')
  if state[1] and tonumber(state[1]) > FORMAT then
    refuse_format(keys[1], state[1])
  end
  local revision = math.max(tonumber(args[2]), tonumber(state[2] or 0))
  local newer = not state[1] or revision ~= tonumber(state[2]) or not state[3]
  if newer then
    -- first write
    redis.call('HSET', keys[1], 'format', args[1], 'policy_revision', integer(revision))
    if args[3] then           -- programs of version 0.1 give none
      redis.call('HSET', keys[1], 'policy', args[3])
    end
  end
  return revision
end

-- periscope_note: read a note on the whole database, or write it if it still says what is expected.
-- Why: which archive is its own, and whether sweeps are paused, must be one answer for all processes.
-- KEYS: control
-- ARGV: name, expected, value
-- Returns: what the note says now, '' for nothing
local function note(keys, args)
  local found = redis.call('HGET', keys[1], args[1]) or ''
  if found ~= args[2] or args[2] == args[3] then
    return found
  end
  -- first write
  redis.call('HSET', keys[1], args[1], args[3])
  return args[3]
end

-- A full server must still be opened, to be read and to remove from: what these write is a handful of fields.
redis.register_function{function_name = 'periscope_control', callback = control, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_control_2', callback = control_2,
  flags = {'allow-oom'}}
redis.register_function('periscope_set_policy', set_policy)
redis.register_function{function_name = 'periscope_prepare', callback = prepare, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_note', callback = note, flags = {'allow-oom'}}
