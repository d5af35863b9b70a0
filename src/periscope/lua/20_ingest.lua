-- Ingest in three steps: look (which reports are known?), decide (in tables), write (all at once).


local REPLY_KEPT_MS = '600000'
local ADDED, SIGHTING = Chunk.ADDED, Chunk.SIGHTING
local DUPLICATE, SUPPRESSED = Chunk.DUPLICATE, Chunk.SUPPRESSED
local COUNTERS = {'received', 'added', 'sightings', 'duplicates', 'suppressed', 'rejected'}

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
  Memory.check_types(keys)
  local counts = redis.call('HMGET', keys.ledger, unpack(COUNTERS))
  for _, count in ipairs(counts) do
    if count and not (string.match(count, '^%d+$') and tonumber(count) < SAFE_INTEGER) then
      refuse('DAMAGED', 'a counter of the ledger is not a number')
    end
  end
end

-- May this user do what the writes below do? One that lacks a command would stop half-way.
local function check_rights(keys)
  if not (redis.acl_check_cmd('MSET', keys.reply, '')
    and redis.acl_check_cmd('ZADD', keys.board, '0', '')
    and redis.acl_check_cmd('HSET', keys.sources, '', '')
    and redis.acl_check_cmd('HSET', keys.meta, '', '')
    and redis.acl_check_cmd('HINCRBY', keys.ledger, '', '0') and Memory.may_write(keys)
    and redis.acl_check_cmd('SET', keys.reply, '', 'PX', '1')) then
    refuse('NOPERM', 'ingest needs the write commands that docs/how-to/own-server.md lists')
  end
end

-- Are the arguments what functions.py sends?
local function check_arguments(chunk)
  for position = 1, chunk.size do
    local packed = chunk.args[chunk.arg_at + position]
    if #packed <= REPORT_BYTES or string.byte(packed) > 3 then
      refuse('BAD_CALL', 'a report is not packed as it must be')
    end
  end
end

local function tally(codes)
  local counts = {[ADDED] = 0, [SIGHTING] = 0, [DUPLICATE] = 0, [SUPPRESSED] = 0}
  for _, code in ipairs(codes) do
    counts[code] = counts[code] + 1
  end
  return counts
end

local function count(ledger, counts, rejected)
  local added, sightings, duplicates = counts[ADDED], counts[SIGHTING], counts[DUPLICATE]
  local suppressed = counts[SUPPRESSED]
  local amounts = {received = added + sightings + duplicates + suppressed + rejected, added = added,
    sightings = sightings, duplicates = duplicates, suppressed = suppressed, rejected = rejected}
  for _, name in ipairs(COUNTERS) do
    if amounts[name] > 0 then
      redis.call('HINCRBY', ledger, name, integer(amounts[name]))
    end
  end
end

-- Everything the decisions ask for, in one step: nothing here can fail.
local function write(keys, writes)
  if #writes.records > 0 then
    redis.call('MSET', unpack(writes.records))
    Index.flush(keys, writes.indexes)
  end
  if #writes.sources > 0 then
    redis.call('HSET', keys.sources, unpack(writes.sources))
  end
  for key, fields in pairs(writes.analysts) do
    for first = 1, #fields, 1000 do
      redis.call('HSET', key, unpack(fields, first, math.min(#fields, first + 999)))
    end
  end
  if #writes.stubs > 0 then
    redis.call('HDEL', keys.stubs, unpack(writes.stubs))
    redis.call('ZREM', keys.stub_ages, unpack(writes.stubs))
  end
end

-- Take in a chunk whose reply is not remembered yet; return the runs of codes.
local function take_in(chunk)
  local codes, writes, counts, runs
  if chunk.size > 0 and not chunk.marks and Chunk.all_new(chunk) then
    writes = Chunk.new_writes(chunk)
    runs = integer(chunk.size) .. ADDED
    counts = {[ADDED] = chunk.size, [SIGHTING] = 0, [DUPLICATE] = 0, [SUPPRESSED] = 0}
  else
    local states
    states, codes = Chunk.decide(chunk)
    writes = Chunk.changed_writes(chunk, states)
    Chunk.tell(chunk, writes, codes)
    counts, runs = tally(codes), run_lengths(codes)
  end
  return writes, counts, runs
end

-- The reply that is remembered for this chunk, or nil.
local function remembered(keys)
  local earlier = redis.call('GET', keys.reply)
  if earlier then
    local now, runs = string.match(earlier, '^(%d+) (%w*)$')
    return {tonumber(now), runs}
  end
  if keys.before ~= keys.reply and redis.call('EXISTS', keys.before) == 0 then
    refuse('OUT_OF_ORDER', 'the chunk before this one was refused')
  end
end

-- Take in a chunk: check, decide, write.
local function store(chunk, rejected)
  local keys = chunk.keys
  local here = writers_revision(keys.meta, chunk.rules.revision)
  check_arguments(chunk)
  check_store(keys)
  check_rights(keys)
  local entries = chunk.marks and Suppressed.check(keys)
  local writes, counts, runs = take_in(chunk)
  local plan = entries and Suppressed.plan(chunk, entries)
  return function()
    write(keys, writes)
    if plan then
      Suppressed.write(keys, plan)
    end
    count(keys.ledger, counts, rejected)
    Log.events(keys, chunk.rules.events_limit, chunk.now, writes.events)
    bring_forward(keys.meta, here, chunk.rules)
    redis.call('SET', keys.reply, integer(chunk.now) .. ' ' .. runs, 'PX', REPLY_KEPT_MS)
    return {chunk.now, runs}
  end
end

-- The chunk of a call of which `taken` arguments come before the reports; refused if they do not fit.
local function chunk_of(keys, names, args, taken)
  local name_at = keys.before_at
  if #args - taken ~= #names - name_at or not string.match(args[3], '^%d+$') then
    refuse('BAD_CALL', 'the arguments do not fit the keys')
  end
  return Chunk.of(keys, name_at, names, args, taken, Score.policy(args[1]), clock(args[2]))
end

-- The single keys, and those of the reply, which begin at `first`.
local function ingest_keys(names, first)
  local keys = partition_keys(names)
  keys.reply, keys.before, keys.before_at = names[first], names[first + 1], first + 1
  return keys
end

-- periscope_ingest_3: take in one chunk of reports, all of one partition, in the order given.
-- Why: records, indexes, ledger and events change together or not at all, and a chunk counts once; so do the
--   entries of what is marked as noise.
-- KEYS: singles..., noise..., reply, before, record...
-- ARGV: policy, now_ms, rejected, marks, report...
-- Returns: {now_ms, runs}; runs is a code for each report, run-length encoded: a added, s sighting,
--   d duplicate, x suppressed ('498a2d'). The same chunk again (same reply key) answers the first
--   reply. `before` is the reply key of a chunk that must have been stored, or `reply` again. `marks`
--   is '' where no report is marked, else msgpack: {{{most, window_ms, until_ms}, ...}, {number, ...},
--   {said, ...}}: for each report which of the first list is its ground, 0 for none, and what its
--   entry says of it: cause, source and title, each after its length (two bytes of 7 bits)
local function ingest(names, args)
  local keys = ingest_keys(names, #SINGLES + 4)
  local earlier = remembered(keys)
  if earlier then
    return earlier
  end
  local chunk = chunk_of(keys, names, args, 4)
  if args[4] ~= '' then
    Suppressed.join(chunk, args[4])
  end
  local commit = store(chunk, tonumber(args[3]))
  -- first write
  return commit()
end

-- periscope_ingest_2: what periscope_ingest_3 does where no report is marked, for programs before 0.4.
-- Why: old and new programs work side by side on one store; what an old one reports is never suppressed.
-- KEYS: singles..., reply, before, record...
-- ARGV: policy, now_ms, rejected, report...
-- Returns: as periscope_ingest_3
local function ingest_unmarked(names, args)
  local keys = ingest_keys(names, #SINGLES + 1)
  local earlier = remembered(keys)
  if earlier then
    return earlier
  end
  local commit = store(chunk_of(keys, names, args, 3), tonumber(args[3]))
  -- first write
  return commit()
end

-- periscope_ingest: what periscope_ingest_2 does, for programs of version 0.1.
-- Why: old and new programs work side by side on one store; an old one ranks by the rules it finds.
-- KEYS: meta, ledger, board, sources, reply, before, record...
-- ARGV: policy_revision, now_ms, rejected, report...
-- Returns: {now_ms, runs} as periscope_ingest_2; a suppressed report is called a duplicate
local function ingest_as_before(all_keys, args)
  local keys = {meta = all_keys[1], reply = all_keys[5], before = all_keys[6]}
  for _, name in ipairs(SINGLES) do
    keys[name] = string.sub(keys.meta, 1, -5) .. name
  end
  local earlier = remembered(keys)
  if earlier then
    return {earlier[1], (string.gsub(earlier[2], SUPPRESSED, DUPLICATE))}
  end
  if #args ~= #all_keys - 3 or not string.match(args[1] .. ' ' .. args[3], '^%d+ %d+$') then
    refuse('BAD_CALL', 'the arguments do not fit the keys')
  end
  partition_revision(keys.meta)
  local known = redis.call('HGET', keys.meta, 'policy')
  if not known then
    refuse('UNPREPARED', 'no program of this version has opened this partition yet')
  end
  local policy = Score.policy(known)
  local rules = setmetatable({revision = tonumber(args[1])}, {__index = policy})
  local chunk = Chunk.of(keys, 6, all_keys, args, 3, rules, clock(args[2]))
  local commit = store(chunk, tonumber(args[3]))
  -- first write
  local reply = commit()
  return {reply[1], (string.gsub(reply[2], SUPPRESSED, DUPLICATE))}
end

redis.register_function('periscope_ingest', ingest_as_before)
redis.register_function('periscope_ingest_2', ingest_unmarked)
redis.register_function('periscope_ingest_3', ingest)
