-- Feeds that are polled: which are defined here, who reads which of them until when, how far each has come.
-- Of workers that want one feed one gets it, for a lease; what a worker whose lease was taken over still
-- writes is known by its token, and refused.

local FEEDS_MOST = 500
local STATUS_BYTES = 16384   -- of a definition, or of how a feed is doing
local POSITION_BYTES = 131072
local LEASE_MOST_MS = 3600000
-- Token, end of the lease, next run, paused, owner; below that line the workers' own words.
local STATE = '^(%d+) (%d+) (%d+) ([01]) ([!-~]*)\n(.*)$'
local LAST_TOKEN = ''        -- the field of the last token: no feed has this name

local function refuse_moved(control, begins)
  local found = redis.call('HMGET', control, 'moved_to', 'move')
  if found[1] then
    refuse('MOVING', 'moved to ' .. found[1] .. ': open it there')
  elseif begins and found[2] then
    refuse('MOVING', 'is being repartitioned or rebuilt; feeds wait for that')
  end
end

-- What the state of a feed says; that of a new one, where there is none.
local function read_state(key, name)
  local text = redis.call('HGET', key, name)
  if not text then
    return {token = 0, lease_end = 0, next_ms = 0, paused = '0', owner = '', status = '', is_new = true}
  end
  local token, lease_end, next_ms, paused, owner, status = string.match(text, STATE)
  if not token then
    refuse('DAMAGED', 'the state of a feed cannot be read')
  end
  return {token = tonumber(token), lease_end = tonumber(lease_end), next_ms = tonumber(next_ms),
    paused = paused, owner = owner, status = status}
end

local function packed_state(state)
  return table.concat({integer(state.token), integer(state.lease_end), integer(state.next_ms),
    state.paused, state.owner}, ' ') .. '\n' .. state.status
end

local function check_room(key, name)
  local count = redis.call('HLEN', key) - redis.call('HEXISTS', key, LAST_TOKEN)
  if count >= FEEDS_MOST and redis.call('HEXISTS', key, name) == 0 then
    refuse('TOO_MANY_FEEDS', integer(FEEDS_MOST))
  end
end

local function bounded(text, most)
  if #text > most then
    refuse('BAD_CALL', 'a feed says more than ' .. integer(most) .. ' bytes')
  end
  return text
end

local function lease_end(now, lease_ms)
  local length = tonumber(lease_ms)
  if not (length > 0 and length <= LEASE_MOST_MS) then
    refuse('BAD_CALL', 'a lease that is none')
  end
  return now + length
end

-- The state of a feed as the holder of this token leaves it; nothing if somebody else holds it now.
local function held_by(keys, args)
  refuse_moved(keys[1])
  local state = read_state(keys[2], args[1])
  redis.call('HLEN', keys[3])
  if state.is_new or state.token ~= tonumber(args[2]) then
    return nil
  end
  if args[4] ~= '' then
    state.status = bounded(args[4], STATUS_BYTES)
  end
  bounded(args[5], POSITION_BYTES)
  return state
end

local function write_state(keys, args, state)
  redis.call('HSET', keys[2], args[1], packed_state(state))
  if args[5] ~= '' then
    redis.call('HSET', keys[3], args[1], args[5])
  end
end

-- periscope_feeds: what is defined here, and the state of every feed.
-- Why: whoever runs feeds, and whoever looks at them, sees all at one moment.
-- KEYS: feeds, feed_state
-- ARGV: now_ms
-- Returns: {now_ms, definitions, states}, both as fields and values; of the states one is the last token
local function feeds(keys, args)
  return {clock(args[1]), redis.call('HGETALL', keys[1]), redis.call('HGETALL', keys[2])}
end

-- periscope_feed_take: become the one who reads a feed, for the length of a lease.
-- Why: one owner a feed at a time, however many workers there are, and whatever becomes of one.
-- KEYS: control, feed_state, feed_position
-- ARGV: name, owner, lease_ms, early, now_ms
-- Returns: {'TAKEN' | 'HELD' | 'PAUSED' | 'EARLY', now_ms, token, lease_end, owner, status, position}; with
--   `early` '1' it need not be due. The same owner again is given the same token
local function take_feed(keys, args)
  refuse_moved(keys[1], true)
  local now, state = clock(args[5]), read_state(keys[2], args[1])
  local position = redis.call('HGET', keys[3], args[1]) or ''
  local last = tonumber(redis.call('HGET', keys[2], LAST_TOKEN) or '0')
  -- No lease ends later than that, unless the clock was set back.
  local held = state.lease_end > now and state.lease_end - now <= LEASE_MOST_MS
  local again = state.owner == args[2]
  local word = held and not again and 'HELD' or state.paused == '1' and 'PAUSED'
    or not held and args[4] ~= '1' and state.next_ms > now and 'EARLY'
  if not word and not held then
    check_room(keys[2], args[1])
    if not string.match(args[2], '^[!-~]+$') then
      refuse('BAD_CALL', 'an owner without a name')
    end
    state.lease_end, state.owner = lease_end(now, args[3]), args[2]
    state.next_ms = now -- 0 again means: defined anew, paused or resumed while it runs
    -- The time, so that no token comes twice even where the last one was lost.
    state.token = math.max(last + 1, state.token + 1, now)
    -- first write
    redis.call('HSET', keys[2], LAST_TOKEN, integer(state.token), args[1], packed_state(state))
  end
  return {word or 'TAKEN', now, state.token, state.lease_end, state.owner, state.status, position}
end

-- periscope_feed_keep: go on holding a feed; note how it is doing and how far it has come.
-- Why: a position is stored by whoever holds the feed, or by nobody.
-- KEYS: control, feed_state, feed_position
-- ARGV: name, token, lease_ms, status, position, now_ms
-- Returns: {'KEPT' | 'PAUSED' | 'LOST', now_ms, lease_end}; PAUSED: kept, and asked to stop, also as it
--   was defined anew. '' for a status or position that is to stay as it is
local function keep_feed(keys, args)
  local now, state = clock(args[6]), held_by(keys, args)
  if not state or state.lease_end == 0 then
    return {'LOST', now, 0}
  end
  state.lease_end = lease_end(now, args[3])
  -- first write
  write_state(keys, args, state)
  local stop = state.paused == '1' or state.next_ms == 0
  return {stop and 'PAUSED' or 'KEPT', now, state.lease_end}
end

-- periscope_feed_release: give a feed back, with what is to be noted and when it is due again.
-- Why: the next run is the feed's own affair, whichever worker it falls to; one that was defined anew,
--   paused or resumed meanwhile is due at once.
-- KEYS: control, feed_state, feed_position
-- ARGV: name, token, wait_ms, status, position, now_ms
-- Returns: {'RELEASED' | 'LOST', now_ms, next_ms}
local function release_feed(keys, args)
  local now, state = clock(args[6]), held_by(keys, args)
  if not state then
    return {'LOST', now, 0}
  end
  state.lease_end, state.owner = 0, ''
  if state.next_ms > 0 then
    state.next_ms = now + math.max(0, math.min(tonumber(args[3]), SPAN / 2))
  end
  -- first write
  write_state(keys, args, state)
  return {'RELEASED', now, state.next_ms}
end

-- periscope_feed_pause: hold a feed back, or let it run again at once.
-- Why: for all workers, until somebody says otherwise; a run under way ends after what it has in hand.
-- KEYS: control, feed_state
-- ARGV: name, paused
-- Returns: 'CHANGED' | 'SAME'
local function pause_feed(keys, args)
  refuse_moved(keys[1])
  local state = read_state(keys[2], args[1])
  check_room(keys[2], args[1])
  if state.paused == args[2] then
    return 'SAME'
  end
  state.paused, state.next_ms = args[2] == '1' and '1' or '0', 0
  -- first write
  redis.call('HSET', keys[2], args[1], packed_state(state))
  return 'CHANGED'
end

local function forget(keys, name)
  for position = 2, 4 do
    redis.call('HDEL', keys[position], name)
  end
end

-- periscope_feed_define: define a feed, define it anew, or remove it with all that is known of it.
-- Why: of two people who change a feed at once, one must be told.
-- KEYS: control, feeds, feed_state, feed_position
-- ARGV: name, expected, definition
-- Returns: {'DEFINED' | 'CHANGED', what is defined now, '' for nothing}; an empty definition removes it. A
--   feed that is defined anew is due at once; the same again changes nothing
local function define_feed(keys, args)
  refuse_moved(keys[1])
  local found, state = redis.call('HGET', keys[2], args[1]) or '', read_state(keys[3], args[1])
  redis.call('HLEN', keys[4])
  if found ~= args[2] and found ~= args[3] then
    return {'CHANGED', found}
  end
  check_room(keys[2], args[1])
  check_room(keys[3], args[1])
  bounded(args[3], STATUS_BYTES)
  if found ~= args[3] then
    state.next_ms = 0
  end
  -- first write
  if args[3] == '' then
    forget(keys, args[1])
  else
    redis.call('HSET', keys[2], args[1], args[3])
    redis.call('HSET', keys[3], args[1], packed_state(state))
  end
  return {'DEFINED', args[3]}
end

redis.register_function{function_name = 'periscope_feeds', callback = feeds, flags = {'no-writes'}}
redis.register_function('periscope_feed_take', take_feed)
redis.register_function{function_name = 'periscope_feed_keep', callback = keep_feed, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_feed_release', callback = release_feed,
  flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_feed_pause', callback = pause_feed, flags = {'allow-oom'}}
redis.register_function('periscope_feed_define', define_feed)
