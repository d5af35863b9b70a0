-- Ingest in three steps: look (which reports are known?), decide (in tables), write (all at once).

local REPLY_KEPT_MS = '600000'
local FIRST_RECORD = 7       -- among the keys; its report is three places earlier among the arguments
local ADDED, SIGHTING, DUPLICATE = 'a', 's', 'd'
local COUNTERS = {'received', 'added', 'sightings', 'duplicates', 'rejected'}

-- The part of a header that is the same for every threat that arrives at `now`.
local function arrival(now)
  return string.sub(struct.pack(HEADER, FORMAT, LEVEL_WORKING, 0, OPEN, 0, 0, 0, 1,
    0, 0, 0, 0, 0, 0, 0, now, now, now, 0, 0, 0, 0, string.rep('\0', 8), string.rep('\0', 6)),
    1, SERVER_BYTES)
end

-- Board scores of threats that arrive at `now`, by severity.
local function arrival_scores(now)
  local scores = {}
  for severity = 0, 3 do
    scores[severity] = integer(severity * BUCKETS_OF_SEVERITY * SPAN + now)
  end
  return scores
end

-- 'aaadd' as '3a2d': the reply of a chunk in which all went the same way is a few bytes.
local function run_lengths(codes)
  local runs, start = {}, 1
  for position = 1, #codes do
    if codes[position + 1] ~= codes[position] then
      runs[#runs + 1] = integer(position - start + 1) .. codes[position]
      start = position + 1
    end
  end
  return table.concat(runs)
end

-- Everything that the writes below rely on; a store that somebody damaged is refused whole.
local function check_store(keys)
  redis.call('ZCARD', keys[3])
  redis.call('HLEN', keys[4])
  local counts = redis.call('HMGET', keys[2], unpack(COUNTERS))
  for _, count in ipairs(counts) do
    if count and not (string.match(count, '^%d+$') and tonumber(count) < SAFE_INTEGER) then
      refuse('DAMAGED', 'a counter of the ledger is not a number')
    end
  end
end

-- May this user do what the writes below do? One that lacks a command would stop half-way.
local function check_rights(keys)
  if not (redis.acl_check_cmd('MSET', keys[5], '') and redis.acl_check_cmd('ZADD', keys[3], '0', '')
    and redis.acl_check_cmd('HSET', keys[4], '', '') and redis.acl_check_cmd('HSET', keys[1], '', '')
    and redis.acl_check_cmd('HINCRBY', keys[2], '', '0')
    and redis.acl_check_cmd('SET', keys[5], '', 'PX', '1')) then
    refuse('NOPERM', 'ingest needs MSET, ZADD, HSET, HINCRBY and SET on the keys of its namespace')
  end
end

-- Are the arguments what functions.py sends?
local function check_arguments(keys, args)
  if #args ~= #keys - 3 or not string.match(args[1], '^%d+$') or not string.match(args[3], '^%d+$') then
    refuse('BAD_CALL', 'the arguments do not fit the keys')
  end
  for position = 4, #args do
    if #args[position] <= REPORT_BYTES or string.byte(args[position]) > 3 then
      refuse('BAD_CALL', 'a report is not packed as it must be')
    end
  end
end

-- Are all reports of threats that nobody has heard of, each of another one?
local function all_new(keys)
  local records, seen = {}, {}
  for position = FIRST_RECORD, #keys do
    local key = keys[position]
    if seen[key] then
      return false
    end
    seen[key] = true
    records[position - 6] = key
  end
  return redis.call('EXISTS', unpack(records)) == 0
end

-- A threat that arrived with this chunk and is reported in it once more.
local function arrived(packed, id, head)
  local state = Sighting.known(head .. string.sub(packed, 1, REPORT_BYTES), id)
  state.body, state.changed = string.sub(packed, REPORT_BYTES + 1), true
  return state
end

-- Decide on every report in the order given. A state is, by key: the number of the argument with
-- which a threat arrives; the whole new record after a usual sighting (its board score in `places`);
-- a table of what is known where it takes more; none for mere repetitions.
local function decide(keys, args, prefix_length, head, now)
  local states, codes, places = {}, {}, {}
  for position = FIRST_RECORD, #keys do
    local key, packed = keys[position], args[position - 3]
    local state, code = states[key], nil
    if not state then
      local record = redis.call('GETRANGE', key, 0, HEADER_BYTES - 1)
      if record == '' then
        state, code = position - 3, ADDED
      elseif Sighting.is_repetition(record, packed) then
        code = DUPLICATE
      else
        state, places[key] = Sighting.renew(record, packed, now)
        code = state and SIGHTING
        state = state or Sighting.known(record, string.sub(key, prefix_length + 1), keys[4])
      end
    elseif type(state) == 'string' then
      local body = string.sub(state, HEADER_BYTES + 1)
      state = Sighting.known(string.sub(state, 1, HEADER_BYTES), string.sub(key, prefix_length + 1),
        keys[4])
      state.body, state.changed = body, true
    elseif type(state) == 'number' then
      state = arrived(args[state], string.sub(key, prefix_length + 1), head)
    end
    states[key] = state
    codes[position - 6] = code or (Sighting.apply(state, packed, now) and SIGHTING or DUPLICATE)
  end
  return states, codes, places
end

-- The arguments of one MSET and one ZADD for a chunk of new threats: the common case, kept short.
local function new_writes(keys, args, prefix_length, head, scores)
  local records, places = {}, {}
  for position = FIRST_RECORD, #keys do
    local key, packed, slot = keys[position], args[position - 3], 2 * (position - 6)
    records[slot - 1], records[slot] = key, head .. packed
    places[slot - 1], places[slot] = scores[string.byte(packed)], string.sub(key, prefix_length + 1)
  end
  return records, places, {}
end

local function changed_writes(states, renewed, args, prefix_length, head, scores)
  local records, places, sources, slot = {}, {}, {}, 0
  for key, state in pairs(states) do
    if type(state) == 'number' then
      local packed = args[state]
      records[slot + 1], records[slot + 2] = key, head .. packed
      places[slot + 1], places[slot + 2] = scores[string.byte(packed)],
        string.sub(key, prefix_length + 1)
      slot = slot + 2
    elseif type(state) == 'string' then
      records[slot + 1], records[slot + 2] = key, state
      places[slot + 1], places[slot + 2] = renewed[key], string.sub(key, prefix_length + 1)
      slot = slot + 2
    elseif state.changed then
      records[slot + 1], records[slot + 2] = key, pack_header(state.header) .. state.body
      places[slot + 1], places[slot + 2] = board_score(state.header), state.id
      slot = slot + 2
      if #state.words > 1 then
        sources[#sources + 1], sources[#sources + 2] = state.id, Sighting.pack_words(state.words)
      end
    end
  end
  return records, places, sources
end

local function tally(codes)
  local counts = {[ADDED] = 0, [SIGHTING] = 0, [DUPLICATE] = 0}
  for _, code in ipairs(codes) do
    counts[code] = counts[code] + 1
  end
  return counts
end

local function count(ledger, counts, rejected)
  local added, sightings, duplicates = counts[ADDED], counts[SIGHTING], counts[DUPLICATE]
  local amounts = {received = added + sightings + duplicates + rejected, added = added,
    sightings = sightings, duplicates = duplicates, rejected = rejected}
  for _, name in ipairs(COUNTERS) do
    if amounts[name] > 0 then
      redis.call('HINCRBY', ledger, name, integer(amounts[name]))
    end
  end
end

-- Everything the decisions ask for, in one step: nothing here can fail.
local function write(keys, records, places, sources)
  if #records > 0 then
    redis.call('MSET', unpack(records))
    redis.call('ZADD', keys[3], unpack(places))
  end
  if #sources > 0 then
    redis.call('HSET', keys[4], unpack(sources))
  end
end

-- periscope_ingest: take in one chunk of reports, all of one partition, in the order given.
-- Why: records, board and ledger change together or not at all, and a chunk counts once.
-- KEYS: meta, ledger, board, sources, reply, before, record...
-- ARGV: policy_revision, now_ms, rejected, report...
-- Returns: {now_ms, runs}; runs is a code for each report, run-length encoded: a added, s sighting,
--   d duplicate ('498a2d'). The same chunk again (same reply key) answers the first reply. `before`
--   is the reply key of a chunk that must have been stored, or `reply` again if there is none.
local function ingest(keys, args)
  local earlier = redis.call('GET', keys[5])
  if earlier then
    local now, runs = string.match(earlier, '^(%d+) (%w*)$')
    return {tonumber(now), runs}
  end
  check_arguments(keys, args)
  if keys[6] ~= keys[5] and redis.call('EXISTS', keys[6]) == 0 then
    refuse('OUT_OF_ORDER', 'the chunk before this one was refused')
  end
  local revision, here = tonumber(args[1]), partition_revision(keys[1])
  if revision < here then
    refuse('STALE_POLICY', 'revision ' .. integer(revision) .. ' is older than ' .. integer(here))
  end
  check_store(keys)
  check_rights(keys)
  local now, rejected, total = clock(args[2]), tonumber(args[3]), #keys - 6
  local prefix_length, head, scores = #record_prefix(keys[1]), arrival(now), arrival_scores(now)
  local records, places, sources, counts, runs
  if total > 0 and all_new(keys) then
    records, places, sources = new_writes(keys, args, prefix_length, head, scores)
    counts, runs = {[ADDED] = total, [SIGHTING] = 0, [DUPLICATE] = 0}, integer(total) .. ADDED
  else
    local states, codes, renewed = decide(keys, args, prefix_length, head, now)
    records, places, sources = changed_writes(states, renewed, args, prefix_length, head, scores)
    counts, runs = tally(codes), run_lengths(codes)
  end
  -- first write
  write(keys, records, places, sources)
  count(keys[2], counts, rejected)
  if revision > here then
    redis.call('HSET', keys[1], 'policy_revision', args[1])
  end
  redis.call('SET', keys[5], integer(now) .. ' ' .. runs, 'PX', REPLY_KEPT_MS)
  return {now, runs}
end

redis.register_function('periscope_ingest', ingest)
