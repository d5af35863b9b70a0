local LEDGER = {'received', 'added', 'sightings', 'duplicates', 'suppressed', 'rejected',
  'archived_seen', 'archived_unseen', 'removed'}

-- periscope_threats: records by id, whatever their level.
-- Why: one call, one moment: the scores of all are of the same time.
-- KEYS: meta, record...
-- ARGV: policy_revision, now_ms
-- Returns: {now_ms, {record, ...}}: '' where there is none; cut after 1 MiB, the rest is asked again
local function threats(keys, args)
  same_policy(keys[1], tonumber(args[1]))
  local records, bytes = {}, 0
  for position = 2, #keys do
    local record = redis.call('GET', keys[position]) or ''
    records[position - 1], bytes = record, bytes + #record
    if bytes > REPLY_BYTES then
      break
    end
  end
  return {clock(args[2]), records}
end

-- Threats of one status and severity: all of them, and those without any interaction.
local function count_severity(board, status, severity)
  local base = (status * BUCKETS + severity * BUCKETS_OF_SEVERITY) * SPAN
  local function upto(buckets)
    return redis.call('ZCOUNT', board, integer(base), '(' .. integer(base + buckets * SPAN))
  end
  return upto(BUCKETS_OF_SEVERITY), upto(1)
end

-- periscope_stats: what the partition holds, counted from the sets themselves, and its ledger.
-- Why: counters that are compared with themselves prove nothing.
-- KEYS: meta, board, short_term, long_term, ledger
-- ARGV: now_ms
-- Returns: {now_ms, {16 counts: status by severity}, {16 counts of the unseen}, short_term,
--   long_term, {9 ledger counters}}
local function stats(keys, args)
  partition_revision(keys[1])
  local counts, unseen = {}, {}
  for status = OPEN, CLOSED do
    for severity = 0, 3 do
      counts[#counts + 1], unseen[#unseen + 1] = count_severity(keys[2], status, severity)
    end
  end
  local ledger = redis.call('HMGET', keys[5], unpack(LEDGER))
  for position = 1, #LEDGER do
    ledger[position] = ledger[position] or '0'
  end
  return {clock(args[1]), counts, unseen, redis.call('ZCARD', keys[3]),
    redis.call('ZCARD', keys[4]), ledger}
end

-- periscope_holdings: what else the partition holds, beside the levels and the ledger.
-- Why: what is bounded must be seen to be: memory, backlog, and what was forgotten before its time.
-- KEYS: singles...
-- ARGV: now_ms
-- Returns: {now_ms, {name, number, ...}}
local function holdings(keys, args)
  local named, now = partition_keys(keys), clock(args[1])
  partition_revision(named.meta)
  local meta = redis.call('HMGET', named.meta, 'forgotten', 'event_bytes', 'audit_bytes')
  return {now, {
    'promotable', redis.call('ZCARD', named.promotable),
    'claims', redis.call('ZCOUNT', named.claims, '(' .. integer(now), '+inf'),
    'stubs', redis.call('HLEN', named.stubs),
    'removed_ids', redis.call('HLEN', named.removed),
    'remembered', redis.call('HLEN', named.done) + redis.call('HLEN', named.done_before),
    'forgotten_early', tonumber(meta[1] or '0'),
    'event_bytes', tonumber(meta[2] or '0'),
    'audit_bytes', tonumber(meta[3] or '0'),
    'departures_open', redis.call('HLEN', named.departures),
  }}
end

-- One word on whether the board shows a record as its header says.
local function verdict(board, record, id)
  local place = redis.call('ZSCORE', board, id)
  if record == '' then
    return place and 'NO_RECORD' or 'GONE'
  end
  local header = unpack_header(record)
  if header.level ~= LEVEL_WORKING then
    return place and 'TWO_LEVELS' or 'OK'
  end
  if not place then
    return 'NOT_ON_BOARD'
  end
  return tonumber(place) == board_place(CAPS, header) and 'OK' or 'MISPLACED'
end

-- periscope_verify: what periscope_inspect does for the board alone, for programs of version 0.1.
-- Why: old and new programs work side by side on one store.
-- KEYS: meta, board, record...
-- ARGV:
-- Returns: a word for each record: OK, GONE, NO_RECORD, NOT_ON_BOARD, MISPLACED, TWO_LEVELS
local function verify(keys)
  partition_revision(keys[1])
  local words, prefix_length = {}, #record_prefix(keys[1])
  for position = 3, #keys do
    local record = redis.call('GETRANGE', keys[position], 0, HEADER_BYTES - 1)
    words[position - 2] = verdict(keys[2], record, string.sub(keys[position], prefix_length + 1))
  end
  return words
end

-- The places that the indexes show for an id, in the shape of Index.places; members of ranks are looked
-- up one by one.
local function places_shown(named, id, expected)
  local shown = {}
  for _, name in ipairs({'board', 'exceptions', 'short', 'long'}) do
    local place = redis.call('ZSCORE', named[name], id)
    shown[name] = place and tonumber(place)
  end
  shown.members = true
  for _, member in ipairs(expected.members or {}) do
    shown.members = shown.members and redis.call('ZSCORE', named[expected.of], member) and true
  end
  return shown
end

local LEVEL_KEYS = {'board', 'short', 'long'}

-- A threat in no level's set, or in more than one, or in another than its record says.
local function level_verdict(shown, expected)
  local count = 0
  for _, name in ipairs(LEVEL_KEYS) do
    count = count + (shown[name] and 1 or 0)
  end
  if count > 1 then
    return 'TWO_LEVELS'
  elseif count == 0 then
    return expected.board and 'NOT_ON_BOARD' or 'NOT_IN_LEVEL'
  end
  for _, name in ipairs(LEVEL_KEYS) do
    if shown[name] ~= expected[name] then
      return shown[name] and expected[name] and 'MISPLACED' or 'WRONG_LEVEL'
    end
  end
end

-- One word on whether every index shows a record as its header says.
local function full_verdict(named, rules, key, id)
  local record = redis.call('GETRANGE', key, 0, HEADER_BYTES - 1)
  if record == '' then
    local shown = places_shown(named, id, {})
    local named_somewhere = shown.board or shown.short or shown.long or shown.exceptions
      or redis.call('ZSCORE', named.promotable, id)
    return named_somewhere and 'NO_RECORD' or 'GONE'
  end
  local state = {header = unpack_header(record), id = id}
  Index.load(named, state, key)
  local expected = Index.places(rules, state)
  local shown = places_shown(named, id, expected)
  local latched = redis.call('ZSCORE', named.promotable, id) and true or false
  local wrong = level_verdict(shown, expected)
  if wrong then
    return wrong
  elseif shown.exceptions ~= expected.exceptions or not shown.members
    or latched ~= has(state.header.flags, FLAG_LATCHED) then
    return 'MISPLACED'
  end
  return redis.call('HEXISTS', named.stubs, id) == 1 and 'STUB_LEFT' or 'OK'
end

-- A word for each record among a function's own keys.
function Move.inspect(named, keys, rules)
  local words, length = {}, #record_prefix(named.meta)
  for position = named.first, #keys do
    local id = string.sub(keys[position], length + 1)
    words[#words + 1] = full_verdict(named, rules, keys[position], id)
  end
  return words
end

-- periscope_inspect: does every index show each of these records as its header says?
-- Why: the deep ledger recounts records one by one, and trusts neither side.
-- KEYS: singles..., record...
-- ARGV: policy
-- Returns: a word for each record: OK, GONE, NO_RECORD, NOT_ON_BOARD, NOT_IN_LEVEL, WRONG_LEVEL,
--   MISPLACED, TWO_LEVELS, STUB_LEFT
local function inspect(keys, args)
  local named = partition_keys(keys)
  partition_revision(named.meta)
  return Move.inspect(named, keys, Score.policy(args[1]))
end

redis.register_function{function_name = 'periscope_holdings', callback = holdings, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_inspect', callback = inspect, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_threats', callback = threats, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_stats', callback = stats, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_verify', callback = verify, flags = {'no-writes'}}
