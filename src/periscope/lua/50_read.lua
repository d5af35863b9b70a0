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
  return integer(tonumber(place)) == board_score(header) and 'OK' or 'MISPLACED'
end

-- periscope_verify: does the board show each of these records as its header says?
-- Why: the deep ledger recounts records one by one, and trusts neither side.
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

redis.register_function{function_name = 'periscope_threats', callback = threats, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_stats', callback = stats, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_verify', callback = verify, flags = {'no-writes'}}
