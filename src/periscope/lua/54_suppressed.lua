-- What is suppressed, for whoever asks; and forgetting it, one by one or by age.

local EXAMINED = 1000        -- entries looked at in one call, where one asks for those of a cause

-- The rank from the newest of the first entry after (ms, id), whether or not that one is still there.
local function rank_after(key, ms, id)
  local low = redis.call('ZCOUNT', key, '(' .. ms, '+inf')
  local high = redis.call('ZCOUNT', key, ms, '+inf')
  while low < high do
    local middle = math.floor((low + high) / 2)
    if bytes_before(redis.call('ZRANGE', key, middle, middle, 'REV')[1], id) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

-- Entries of `cause` ('' for all) among these members with scores, {id, packed, ...}, as many as asked for;
-- and the position of the last one that was looked at.
local function of_cause(named, members, cause, count)
  local found, bytes, ids = {}, 0, {}
  for position = 1, #members, 2 do
    ids[#ids + 1] = members[position]
  end
  for position, packed in ipairs(#ids > 0 and redis.call('HMGET', named.suppressed, unpack(ids)) or {}) do
    if not packed then
      refuse('DAMAGED', 'an age names a suppressed entry that is not there')
    elseif cause == '' or Suppressed.cause(packed) == cause then
      found[#found + 1], found[#found + 2], bytes = ids[position], packed, bytes + #packed
    end
    if #found == 2 * count or bytes > REPLY_BYTES then
      return found, position
    end
  end
  return found, #ids
end

-- periscope_suppressed: suppressed entries, those that were reported last first, after a place among them.
-- Why: what is set aside must be seen to be, and why; a step looks at a bounded number.
-- KEYS: meta, suppressed, suppressed_ages
-- ARGV: now_ms, count, cause, after_ms, after_id
-- Returns: {now_ms, {id, packed, ...}, after_ms, after_id}: go on from there; after_ms is '' at the end.
--   Without an `after_ms` from the newest on; of a cause there may be fewer than `count`, or none
local function suppressed(keys, args)
  local named = {suppressed = keys[2], suppressed_ages = keys[3]}
  partition_revision(keys[1])
  local first = args[4] == '' and 0 or rank_after(keys[3], args[4], args[5])
  local count = tonumber(args[2])
  local room = args[3] == '' and math.min(count, EXAMINED) or EXAMINED
  local members = redis.call('ZRANGE', keys[3], first, first + room - 1, 'REV', 'WITHSCORES')
  local found, last = of_cause(named, members, args[3], count)
  if first + last >= redis.call('ZCARD', keys[3]) then
    return {clock(args[1]), found, '', ''}
  end
  return {clock(args[1]), found, integer(tonumber(members[2 * last])), members[2 * last - 1]}
end

-- periscope_suppressed_entry: the suppressed entry of an id.
-- Why: whoever misses a threat asks whether it was set aside.
-- KEYS: meta, suppressed
-- ARGV: threat_id
-- Returns: the packed entry, '' if there is none
local function entry(keys, args)
  partition_revision(keys[1])
  return redis.call('HGET', keys[2], args[1]) or ''
end

-- periscope_suppressed_causes: how many suppressed entries there are of each cause.
-- Why: a list or a rule that hides a lot must be seen to.
-- KEYS: meta, suppressed_causes
-- ARGV:
-- Returns: {cause, number, ...}
local function causes(keys)
  partition_revision(keys[1])
  return redis.call('HGETALL', keys[2])
end

-- Refuse a partition whose format is not ours, and a user who could not do it all.
local function to_change(keys)
  partition_revision(keys[1])
  local named = Suppressed.name_keys({}, keys, 2)
  return named, Suppressed.check(named)
end

-- periscope_suppressed_forget: forget the suppressed entry of an id.
-- Why: the next report of it starts anew.
-- KEYS: meta, noise...
-- ARGV: threat_id
-- Returns: 1, or 0 if there is none
local function forget(keys, args)
  local named = to_change(keys)
  if not redis.call('HGET', named.suppressed, args[1]) then
    return 0
  end
  local plan = Suppressed.leaving(named, {args[1]}, {})
  -- first write
  Suppressed.write(named, plan)
  return 1
end

-- periscope_suppressed_outlived: forget suppressed entries that are too old or too many.
-- Why: memory of noise is bounded; a step deletes a bounded number.
-- KEYS: meta, noise...
-- ARGV: now_ms, most
-- Returns: how many were forgotten
local function outlived(keys, args)
  local named, size = to_change(keys)
  local ids = Suppressed.outlived(named, size, clock(args[1]), tonumber(args[2]))
  local plan = Suppressed.leaving(named, ids, {})
  -- first write
  Suppressed.write(named, plan)
  return #ids
end

redis.register_function{function_name = 'periscope_suppressed', callback = suppressed,
  flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_suppressed_entry', callback = entry,
  flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_suppressed_causes', callback = causes,
  flags = {'no-writes'}}
-- A full server lets these go on: they make room.
redis.register_function{function_name = 'periscope_suppressed_forget', callback = forget,
  flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_suppressed_outlived', callback = outlived,
  flags = {'allow-oom'}}
