-- The two streams of a partition: events (for whoever follows; the oldest go when there are too many)
-- and the audit trail (kept until it is in the archive). One entry a call, bounded in bytes.

local ENTRY_BYTES = 48       -- what an entry of a stream costs beside its payload, about
local MOST_TRIMMED = 16      -- events let go of in one call

-- Refuse analysts' acts when the audit trail is full: better than not to record them.
function Log.check_audit(kept, rules, bytes)
  if kept + bytes > rules.audit_limit then
    refuse('AUDIT_FULL', integer(kept) .. ' bytes wait for the archive')
  end
end

function Log.bytes(payload)
  return #payload + ENTRY_BYTES
end

-- Let go of the oldest events until the rest fits; remember up to where they are lost.
local function trim_events(keys, bytes, limit)
  for _ = 1, MOST_TRIMMED do
    if bytes <= limit then
      break
    end
    local oldest = redis.call('XRANGE', keys.events, '-', '+', 'COUNT', 1)[1]
    if not oldest then
      return 0
    end
    bytes = bytes - Log.bytes(oldest[2][2])
    redis.call('XTRIM', keys.events, 'MAXLEN', integer(redis.call('XLEN', keys.events) - 1))
    redis.call('HSET', keys.meta, 'events_lost', oldest[1])
  end
  return math.max(0, bytes)
end

-- Append the events of one call: {{kind, ...}, ...}; see events.py for their shapes.
function Log.events(keys, limit, now, events)
  if #events == 0 then
    return
  end
  local payload = cmsgpack.pack({now, events})
  redis.call('XADD', keys.events, '*', 'e', payload)
  local bytes = tonumber(redis.call('HINCRBY', keys.meta, 'event_bytes', integer(Log.bytes(payload))))
  if bytes > limit then
    redis.call('HSET', keys.meta, 'event_bytes', integer(trim_events(keys, bytes, limit)))
  end
end

-- How many acts of each kind there are with these, {verb = count}: fields of the meta key and their values.
function Log.count_acts(keys, acts)
  local fields, sums = {}, {}
  for verb in pairs(acts) do
    fields[#fields + 1] = 'acts_' .. verb
  end
  for position, kept in ipairs(redis.call('HMGET', keys.meta, unpack(fields))) do
    local number = tonumber(kept or '0')
    if not (number and string.match(kept or '0', '^%d+$') and number < SAFE_INTEGER) then
      refuse('DAMAGED', 'a number of the meta key is none')
    end
    sums[2 * position - 1] = fields[position]
    sums[2 * position] = integer(number + acts[string.sub(fields[position], 6)])
  end
  return sums
end

-- Append an entry to each stream, packed; false for none. `seen` is what `Memory.check_types` found: with it
-- the new sums of bytes are known, and are written together, and behind those of `counted`.
function Log.append(keys, seen, limit, events, audit, counted)
  local sums = counted or {}
  if audit then
    redis.call('XADD', keys.audit, '*', 'a', audit)
    sums[#sums + 1] = 'audit_bytes'
    sums[#sums + 1] = integer((seen.audit_bytes or 0) + Log.bytes(audit))
  end
  if events then
    redis.call('XADD', keys.events, '*', 'e', events)
    local bytes = (seen.event_bytes or 0) + Log.bytes(events)
    sums[#sums + 1] = 'event_bytes'
    sums[#sums + 1] = integer(bytes > limit and trim_events(keys, bytes, limit) or bytes)
  end
  if sums[1] then
    redis.call('HSET', keys.meta, unpack(sums))
  end
end

-- periscope_trim: let go of the audit trail up to an entry that is in the archive.
-- Why: the trail is trimmed only after it was archived, in steps that delay nobody.
-- KEYS: meta, audit
-- ARGV: last_entry
-- Returns: how many entries are left up to `last_entry`: call again until it is 0
local function trim_audit(keys, args)
  partition_revision(keys[1])
  local entries = redis.call('XRANGE', keys[2], '-', args[1], 'COUNT', 500)
  local bytes = 0
  for _, entry in ipairs(entries) do
    bytes = bytes + Log.bytes(entry[2][2])
  end
  -- first write
  if #entries > 0 then
    redis.call('XTRIM', keys[2], 'MAXLEN', integer(redis.call('XLEN', keys[2]) - #entries))
    local left = redis.call('HINCRBY', keys[1], 'audit_bytes', integer(-bytes))
    if left < 0 then
      redis.call('HSET', keys[1], 'audit_bytes', '0')
    end
  end
  return #redis.call('XRANGE', keys[2], '-', args[1], 'COUNT', 1)
end

-- periscope_events: events after an entry, and up to where the oldest ones are lost.
-- Why: whoever follows must be told of a gap; reading and asking in two calls could miss one.
-- KEYS: meta, events
-- ARGV: after, count
-- Returns: {lost, {{entry, {'e', payload}}, ...}}: lost is the last entry that was let go of, or ''
local function events(keys, args)
  partition_revision(keys[1])
  return {redis.call('HGET', keys[1], 'events_lost') or '',
    redis.call('XRANGE', keys[2], '(' .. args[1], '+', 'COUNT', args[2])}
end

redis.register_function{function_name = 'periscope_events', callback = events, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_trim', callback = trim_audit, flags = {'allow-oom'}}
