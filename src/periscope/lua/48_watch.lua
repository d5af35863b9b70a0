-- What operators watch: how long the oldest unseen threat of each severity waits, how long what is latched waits
-- for its promotion, and how many acts of each kind there were. Read in bounded steps.

local LOOKED_AT = 256        -- members of a list that one call passes over, at most

local function is_recalled(key, id)
  local place = tonumber(redis.call('ZSCORE', key, id) or '-1')
  return place >= Index.RECALLED * SPAN and place < (Index.RECALLED + 1) * SPAN
end

-- When the oldest open threat of a severity that nobody looked at was first seen, 0 for none; and where the next
-- call goes on, -1 when it need not. One with sightings stands among the exceptions by that moment; one without
-- was last active then, so the first of the board cannot be younger than the oldest of them. What was recalled
-- was answered before, and is passed over.
local function oldest_unseen(named, severity, offset)
  local class, bucket = severity * SPAN, severity * BUCKETS_OF_SEVERITY * SPAN
  local sighted = redis.call('ZRANGE', named.exceptions, integer(class), '(' .. integer(class + SPAN),
    'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  local oldest = sighted[2] and tonumber(sighted[2]) - class or nil
  local members = redis.call('ZRANGE', named.board, integer(bucket), '(' .. integer(bucket + SPAN),
    'BYSCORE', 'LIMIT', offset, LOOKED_AT, 'WITHSCORES')
  for position = 1, #members, 2 do
    if not is_recalled(named.exceptions, members[position]) then
      return math.min(oldest or SPAN, tonumber(members[position + 1]) - bucket), -1
    end
  end
  return oldest or 0, #members < 2 * LOOKED_AT and -1 or offset + LOOKED_AT
end

-- The earliest last activity of what is latched and not held, 0 for none; and where the next call goes on.
local function oldest_latched(named, now, offset)
  local ids, oldest = redis.call('ZRANGE', named.promotable, offset, offset + LOOKED_AT - 1), nil
  for _, id in ipairs(ids) do
    local place = redis.call('ZSCORE', named.board, id)
    if place and tonumber(redis.call('ZSCORE', named.claims, id) or '0') <= now then
      oldest = math.min(oldest or SPAN, tonumber(place) % SPAN)
    end
  end
  return oldest or 0, #ids < LOOKED_AT and -1 or offset + LOOKED_AT
end

local function acts_of(meta)
  local fields, acts = redis.call('HGETALL', meta), {}
  for position = 1, #fields, 2 do
    local verb = string.match(fields[position], '^acts_(.+)$')
    if verb then
      acts[#acts + 1], acts[#acts + 2] = verb, tonumber(fields[position + 1]) or 0
    end
  end
  return acts
end

-- periscope_watch: since when the oldest wait, unseen or for promotion, and how many acts there were.
-- Why: what waits too long must be seen by somebody, and asking for it must cost next to nothing.
-- KEYS: singles...
-- ARGV: now_ms, low, medium, high, critical, latched
-- Returns: {now_ms, {5 moments}, {5 offsets}, {verb, count, ...}}: a moment is in ms, 0 for none; it is that of what
--   was looked at from the offset on (of sightings, all). Start with 0; -1 in a reply: complete; in a call: not asked
local function watch(keys, args)
  local named, now, moments, offsets = partition_keys(keys), clock(args[1]), {}, {}
  partition_revision(named.meta)
  for row = 1, 5 do
    local offset = tonumber(args[row + 1])
    if offset < 0 then
      moments[row], offsets[row] = 0, -1
    elseif row < 5 then
      moments[row], offsets[row] = oldest_unseen(named, row - 1, offset)
    else
      moments[row], offsets[row] = oldest_latched(named, now, offset)
    end
  end
  return {now, moments, offsets, acts_of(named.meta)}
end

redis.register_function{function_name = 'periscope_watch', callback = watch, flags = {'no-writes'}}
