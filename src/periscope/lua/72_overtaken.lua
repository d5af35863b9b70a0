-- What time has overtaken: threats at the old end of every bucket, and in the sets that tell what the board
-- cannot. A sweep asks here for ids; another call looks again and acts.

local FIRST_CLASS = 4 * BUCKETS          -- stretches after the board's buckets: classes of exceptions
local SHORT_STRETCH, LONG_STRETCH = FIRST_CLASS + 6, FIRST_CLASS + 7
local LAST_STRETCH = LONG_STRETCH
local EXAMINED = 500         -- members looked at in one call

-- The last moment in a bucket that may be overtaken, and the key's score range; nil for none.
local function bucket_range(rules, bucket, now)
  local status, within = math.floor(bucket / BUCKETS), bucket % BUCKETS
  local severity, seen = math.floor(within / BUCKETS_OF_SEVERITY), within % 11 > 0
  local moment = now - rules.working_ttl
  if status == SNOOZED or (status == OPEN and severity >= 2) then
    return nil
  elseif status == OPEN and not seen then
    moment = math.min(moment, now - rules.targets[severity])
  end
  return 'board', bucket * SPAN, bucket * SPAN + moment
end

local function class_range(rules, class, now)
  local moment = now - rules.working_ttl
  if class < Index.SET_ASIDE then
    moment = now - rules.targets[class]
  elseif class == Index.RECALLED then
    moment = now - rules.settle_after
  end
  return 'exceptions', class * SPAN, class * SPAN + moment
end

-- The sorted set of a stretch, and the range of scores in it that time may have overtaken.
local function range_of(rules, stretch, now)
  if stretch < FIRST_CLASS then
    return bucket_range(rules, stretch, now)
  elseif stretch < SHORT_STRETCH then
    return class_range(rules, stretch - FIRST_CLASS, now)
  elseif stretch == SHORT_STRETCH then
    return 'short', 0, now - rules.short_ttl
  end
  return 'long', 0, now - rules.long_ttl
end

-- The next stretch from this one on that may hold anything: over empty buckets in one step.
local function next_filled(keys, stretch)
  if stretch >= FIRST_CLASS then
    return stretch
  end
  local head = redis.call('ZRANGE', keys.board, integer(stretch * SPAN), '+inf',
    'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  return head[1] and math.floor(tonumber(head[2]) / SPAN) or FIRST_CLASS
end

-- Is the threat overtaken? 'expired', 'settled', or nil; claimed ones never are.
function Index.overtaken(keys, rules, state, now)
  local held = redis.call('ZSCORE', keys.claims, state.id)
  if held and tonumber(held) > now then
    return nil
  end
  return Moves.overtaken(state.header, rules, state.age, now)
end

-- A member of a stretch as a candidate, {word, id, revision, record, words, {analysts}}; nil if it is not.
-- One without a record is left to the deep ledger.
local function candidate(keys, rules, id, now)
  local prefix = record_prefix(keys.meta)
  local record = redis.call('GET', prefix .. id)
  if not record then
    return nil
  end
  local state = {header = unpack_header(record), id = id}
  if state.header.level == LEVEL_LONG then
    state.age = tonumber(redis.call('ZSCORE', keys.long, id) or 'inf')
  end
  local word = Index.overtaken(keys, rules, state, now)
  if word == 'settled' then
    return {word, id, integer(state.header.revision), '', '', {}}
  elseif word == 'expired' then
    local words = has(state.header.flags, FLAG_SOURCES) and redis.call('HGET', keys.sources, id) or ''
    return {word, id, integer(state.header.revision), record, words,
      Memory.analysts(string.sub(prefix, 1, -3) .. 'a:' .. id)}
  end
end

-- Candidates of one stretch from `offset` on; also how many were passed over, and whether it has more.
local function examine(keys, rules, stretch, offset, room, now)
  local name, low, high = range_of(rules, stretch, now)
  if not name or high < low then
    return {}, 0, false
  end
  local ids = redis.call('ZRANGE', keys[name], integer(low), integer(high), 'BYSCORE',
    'LIMIT', offset, room)
  local found, bytes, passed = {}, 0, 0
  for position, id in ipairs(ids) do
    local one = candidate(keys, rules, id, now)
    if one then
      found[#found + 1], bytes = one, bytes + #one[4]
    else
      passed = passed + 1
    end
    if bytes > REPLY_BYTES then
      return found, passed, true
    end
  end
  return found, passed, #ids == room
end

-- periscope_overtaken: threats that time has overtaken, a bounded step of a sweep.
-- Why: old ends are looked at, never the whole; what is found is archived before it is let go of.
-- KEYS: singles...
-- ARGV: policy, now_ms, stretch, offset, count
-- Returns: {now_ms, {candidate, ...}, stretch, offset}: candidates are {word, id, revision, record,
--   last words, analysts}, word expired or settled; go on from (stretch, offset), where what was passed
--   over is counted; stretch -1: the sweep is complete
local function overtaken(keys, args)
  local named, rules = partition_keys(keys), Score.policy(args[1])
  same_policy(named.meta, rules.revision)
  local now, count = clock(args[2]), tonumber(args[5])
  local stretch, offset, examined = tonumber(args[3]), tonumber(args[4]), 0
  local found = {}
  while #found == 0 and examined < EXAMINED do
    local from = next_filled(named, stretch)
    offset = from == stretch and offset or 0
    stretch = from
    if stretch > LAST_STRETCH then
      return {now, {}, -1, 0}
    end
    local passed, more
    found, passed, more = examine(named, rules, stretch, offset, count, now)
    examined, offset = examined + passed + 1, offset + passed
    if #found == 0 and not more then
      stretch, offset = stretch + 1, 0
    end
  end
  if stretch > LAST_STRETCH and #found == 0 then
    stretch = -1
  end
  return {now, found, stretch, offset}
end

local function settle_one(desk, state)
  if Index.overtaken(desk.keys, desk.rules, state, desk.now) ~= 'settled' then
    return 'SKIPPED'
  end
  Moves.settle(state, desk.rules, desk.now)
  Desk.changed(state)
  Desk.tell(desk, 'settled', state)
  return 'DONE'
end

-- periscope_settle: let recalled threats that are quiet return home.
-- Why: a look at old knowledge must not cost its place.
-- KEYS: singles..., pair...
-- ARGV: policy, now_ms
-- Returns: {now_ms, {word, ...}}: DONE, SKIPPED (touched meanwhile), UNKNOWN
local function settle(keys, args)
  local desk, words = Desk.on_pairs(keys, args, settle_one)
  -- first write
  Desk.write(desk)
  return {desk.now, words}
end

-- periscope_settle_2: let recalled threats that are quiet return home; as often as it comes, once.
-- Why: who lost the answer must be told what was done, not that nothing is left to do.
-- KEYS: singles..., reply, pair...
-- ARGV: policy, now_ms
-- Returns: as periscope_settle. The answer is kept under `reply`, and given again
local function settle_2(keys, args)
  local desk, words = Desk.on_pairs_once(keys, args, settle_one)
  if not desk then
    return words
  end
  -- first write
  Desk.write(desk)
  return Desk.leave_answer(keys[#SINGLES + 1], {desk.now, words})
end

redis.register_function{function_name = 'periscope_overtaken', callback = overtaken,
  flags = {'no-writes'}}
-- A full server lets sweeps go on: they are what makes room, and would stop here.
redis.register_function{function_name = 'periscope_settle', callback = settle, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_settle_2', callback = settle_2, flags = {'allow-oom'}}
