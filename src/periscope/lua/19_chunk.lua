-- A chunk of reports on its way: which threats are known, what each report means, what is to be written.
-- Everything here is decided in tables; nothing is written.

local ADDED, SIGHTING, DUPLICATE, SUPPRESSED = 'a', 's', 'd', 'x'
Chunk.ADDED, Chunk.SIGHTING, Chunk.DUPLICATE, Chunk.SUPPRESSED = ADDED, SIGHTING, DUPLICATE, SUPPRESSED

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

-- The id of the report's threat: made when it is asked for, since most reports of a feed that is polled
-- say nothing new.
local function id_of(chunk, position)
  return string.sub(chunk.names[chunk.name_at + position], chunk.prefix_length + 1)
end

local function all_ids(chunk)
  local ids = {}
  for position = 1, chunk.size do
    ids[position] = id_of(chunk, position)
  end
  return ids
end

-- Are all reports of threats that nobody has heard of, each of another one? Where the first is known the
-- others mostly are: then nothing more is asked.
function Chunk.all_new(chunk)
  if redis.call('EXISTS', chunk.names[chunk.name_at + 1]) == 1 then
    return false
  end
  local seen = {}
  for position = 1, chunk.size do
    local key = chunk.names[chunk.name_at + position]
    if seen[key] then
      return false
    end
    seen[key] = true
  end
  return redis.call('EXISTS', unpack(chunk.names, chunk.name_at + 1)) == 0
    and Memory.are_strangers(chunk.keys, chunk, all_ids)
end

-- A threat that arrived with this chunk and is reported in it once more.
local function arrived(chunk, position)
  local packed = chunk.args[chunk.arg_at + position]
  local state = Sighting.known(chunk.keys, chunk.rules,
    chunk.head .. string.sub(packed, 1, REPORT_BYTES), id_of(chunk, position))
  state.body, state.changed, state.before = string.sub(packed, REPORT_BYTES + 1), true, nil
  return state
end

-- A threat without a record: new, removed for good, or one that departed and is remembered.
local function first_word(chunk, position)
  if chunk.no_memory then
    return position, ADDED
  end
  local id = id_of(chunk, position)
  if redis.call('HEXISTS', chunk.keys.removed, id) == 1 then
    return nil, SUPPRESSED
  end
  local stub = Memory.stub(chunk.keys, chunk.rules, id, chunk.now)
  if not stub then
    chunk.forgotten[#chunk.forgotten + 1] = stub == false and id or nil
    return position, ADDED
  end
  local state = Sighting.returned(stub, id, chunk.now)
  if Sighting.apply(state, chunk.args[chunk.arg_at + position], chunk.now) then
    state.returned = false
    return state, ADDED
  end
  return nil, DUPLICATE
end

-- The first report of a threat in this chunk; see `decide` for what a state is.
local function look(chunk, position)
  local key, packed = chunk.names[chunk.name_at + position], chunk.args[chunk.arg_at + position]
  local record = chunk.nobody and '' or redis.call('GETRANGE', key, 0, HEADER_BYTES - 1)
  if record == '' then
    return first_word(chunk, position)
  elseif Sighting.is_repetition(record, packed) then
    return nil, DUPLICATE
  end
  local renewed, place, exception = Sighting.renew(chunk.rules, record, packed, chunk.now)
  if renewed then
    chunk.places[key], chunk.exceptions[key] = place, exception
    return renewed, SIGHTING
  end
  return Sighting.known(chunk.keys, chunk.rules, record, id_of(chunk, position), key)
end

-- A threat that this chunk has changed before: as a table, so that it can be changed again.
local function look_again(chunk, position, state)
  if type(state) == 'number' then
    return arrived(chunk, state)
  elseif type(state) == 'string' then
    local key = chunk.names[chunk.name_at + position]
    local record = redis.call('GETRANGE', key, 0, HEADER_BYTES - 1)
    local before = Sighting.known(chunk.keys, chunk.rules, record, id_of(chunk, position), key).before
    local again = Sighting.known(chunk.keys, chunk.rules, string.sub(state, 1, HEADER_BYTES),
      id_of(chunk, position), key)
    again.body, again.changed, again.before = string.sub(state, HEADER_BYTES + 1), true, before
    return again
  end
  return state
end

-- Decide on every report in the order given. A state is, by key: the position of the report with which
-- a threat arrives; the whole new record after a usual sighting (its places in `places` and
-- `exceptions`, by key); a table of what is known where it takes more; none for mere repetitions.
function Chunk.decide(chunk)
  local states, codes = {}, {}
  chunk.places, chunk.exceptions = {}, {}
  chunk.forgotten = {}
  chunk.no_memory = Memory.is_empty(chunk.keys)
  if chunk.marks then
    Suppressed.begin(chunk, all_ids(chunk))
  end
  for position = 1, chunk.size do
    local key = chunk.names[chunk.name_at + position]
    local state, code = states[key], nil
    if chunk.marks and Suppressed.takes(chunk, position, key, state) then
      code = SUPPRESSED
    elseif state then
      state = look_again(chunk, position, state)
    else
      state, code = look(chunk, position)
    end
    states[key] = state
    codes[position] = code
      or (Sighting.apply(state, chunk.args[chunk.arg_at + position], chunk.now) and SIGHTING or DUPLICATE)
    if chunk.outdone and (codes[position] == ADDED or codes[position] == SIGHTING) then
      chunk.entries[chunk.outdone] = Suppressed.returned(chunk.entries[chunk.outdone], chunk.now)
    end
  end
  return states, codes
end

-- The arguments of one MSET and one ZADD for a chunk of new threats: the common case, kept short.
function Chunk.new_writes(chunk)
  local ids = all_ids(chunk)
  local records, places, head, scores = {}, {}, chunk.head, arrival_scores(chunk.now)
  for position = 1, chunk.size do
    local key = chunk.names[chunk.name_at + position]
    local packed, slot = chunk.args[chunk.arg_at + position], 2 * position
    records[slot - 1], records[slot] = key, head .. packed
    places[slot - 1], places[slot] = scores[string.byte(packed)], ids[position]
  end
  return {records = records, sources = {}, analysts = {}, stubs = {}, events = {{'added', ids}},
    indexes = {adds = {board = places}, removes = {}}}
end

-- What a changed threat needs beside its record.
local function change(chunk, writes, key, state)
  local header = state.header
  Index.change(writes.indexes, state.id, state.before, Index.places(chunk.rules, state))
  if #state.words > 1 then
    writes.sources[#writes.sources + 1] = state.id
    writes.sources[#writes.sources + 1] = Sighting.pack_words(state.words)
  end
  if state.analysts then      -- it had departed, and is back
    writes.stubs[#writes.stubs + 1] = state.id
    if #state.analysts > 0 then
      writes.analysts[string.sub(chunk.prefix, 1, -3) .. 'a:' .. state.id] = state.analysts
    end
  end
  if state.recalled_from then
    writes.events[#writes.events + 1] = {'recall', state.id, '', header.level, header.status,
      state.recalled_from}
  end
  return pack_header(header) .. state.body
end

function Chunk.changed_writes(chunk, states)
  local scores = arrival_scores(chunk.now)
  local writes = {records = {}, sources = {}, analysts = {}, stubs = chunk.forgotten, events = {},
    indexes = Index.writes()}
  local records, slot = writes.records, 0
  for position = 1, chunk.size do
    local key = chunk.names[chunk.name_at + position]
    local state, record = states[key], nil
    if type(state) == 'number' then
      record = chunk.head .. chunk.args[chunk.arg_at + state]
      Index.add(writes.indexes, 'board', scores[string.byte(chunk.args[chunk.arg_at + state])],
        id_of(chunk, position))
    elseif type(state) == 'string' then
      local id = id_of(chunk, position)
      record = state
      Index.add(writes.indexes, 'board', chunk.places[key], id)
      if chunk.exceptions[key] then
        Index.add(writes.indexes, 'exceptions', chunk.exceptions[key], id)
      end
    elseif state and state.changed then
      record = change(chunk, writes, key, state)
    end
    if record then
      records[slot + 1], records[slot + 2], slot = key, record, slot + 2
    end
    states[key] = nil         -- written once, however often it is reported
  end
  return writes
end

-- Tell of what was added and sighted, in one event each.
function Chunk.tell(chunk, writes, codes)
  local ids = {[ADDED] = {}, [SIGHTING] = {}}
  for position, code in ipairs(codes) do
    local list = ids[code]
    if list then
      list[#list + 1] = id_of(chunk, position)
    end
  end
  for code, kind in pairs({[SIGHTING] = 'sighted', [ADDED] = 'added'}) do
    if #ids[code] > 0 then
      table.insert(writes.events, 1, {kind, ids[code]})
    end
  end
end

-- A chunk as a table: its keys by name, and where records and reports begin among the keys and the
-- arguments of the call (copying them would cost a tenth of the call).
function Chunk.of(keys, name_at, names, args, arg_at, rules, now)
  local prefix = record_prefix(keys.meta)
  return {keys = keys, rules = rules, now = now, names = names, name_at = name_at, args = args,
    arg_at = arg_at, size = #names - name_at, head = arrival(now), prefix = prefix,
    prefix_length = #prefix}
end
