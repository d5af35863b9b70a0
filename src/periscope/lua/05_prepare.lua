-- periscope_control: read what holds for the whole database, setting it where it is missing.
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

-- periscope_set_policy: replace the policy if nobody else did meanwhile.
-- Why: two administrators at once must not each believe that theirs holds.
-- KEYS: control
-- ARGV: expected_revision, policy
-- Returns: {'SET' | 'CHANGED', policy_revision}
local function set_policy(keys, args)
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
    refuse('NEWER_FORMAT', 'a partition of format ' .. integer(tonumber(state[1])))
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

redis.register_function('periscope_control', control)
redis.register_function('periscope_set_policy', set_policy)
redis.register_function('periscope_prepare', prepare)
redis.register_function('periscope_note', note)
