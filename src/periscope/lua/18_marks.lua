-- Marks: which reports of a chunk a warninglist or a rule calls noise, and whether each is suppressed. A mark
-- that is outdone lets its report go the usual way; nothing is written here.

local MOST_MS = 2 ^ 48

local function is_count(value)
  return type(value) == 'number' and value >= 0 and value < MOST_MS and value % 1 == 0
end

-- Is this the ground of a mark, {most, window_ms, until_ms}?
local function is_ground(ground)
  return type(ground) == 'table' and is_count(ground[1]) and is_count(ground[2])
    and is_count(ground[3])
end

-- Are the parts of the marks of `size` reports as marks.py packs them?
local function fits(grounds, whose, said, size)
  if type(said) ~= 'table' or #whose ~= size or #said ~= size or #grounds == 0 then
    return false
  end
  for position = 1, #grounds do
    if not is_ground(grounds[position]) then
      return false
    end
  end
  for position = 1, size do
    local number, text = whose[position], said[position]
    if number ~= 0 and not (grounds[number] and type(text) == 'string'
      and Suppressed.is_said(text, 1)) then
      return false
    end
  end
  return true
end

-- Give a chunk its marks, and the keys of entries, which come after the single ones.
function Suppressed.join(chunk, text)
  local read, parts = pcall(cmsgpack.unpack, text)
  if not (read and type(parts) == 'table' and type(parts[1]) == 'table'
    and type(parts[2]) == 'table' and fits(parts[1], parts[2], parts[3], chunk.size)) then
    refuse('BAD_CALL', 'the marks are not packed as they must be')
  end
  chunk.marks = {grounds = parts[1], whose = parts[2], said = parts[3]}
  Suppressed.name_keys(chunk.keys, chunk.names, #SINGLES + 1)
end

-- Learn at once what is known of the reports: their entries; and whether any has a record.
function Suppressed.begin(chunk, ids)
  chunk.ids, chunk.found = ids, redis.call('HMGET', chunk.keys.suppressed, unpack(ids))
  chunk.nobody = redis.call('EXISTS', unpack(chunk.names, chunk.name_at + 1)) == 0
  chunk.entries, chunk.causes, chunk.lasts, chunk.heads = {}, {}, {}, {}
end

-- The entry of the report at this position as it stands in this chunk; nil for none.
local function entry_of(chunk, position, id)
  local entry = chunk.entries[id]
  if entry then
    return entry
  end
  entry = chunk.found[position]
  chunk.causes[id] = entry and Suppressed.cause(entry)
  return entry or nil
end

-- Is the report at this position suppressed? `here` is the severity of its threat now, nil where it is in no
-- level. If it is marked and goes the usual way all the same, `chunk.outdone` is its id.
local function holds(chunk, position, ground, here)
  local id, severity = chunk.ids[position], string.byte(chunk.args[chunk.arg_at + position])
  local entry = entry_of(chunk, position, id)
  local head = not entry and not here and ground[2] == 0 and chunk.heads[severity]
  local outdone, last = false, chunk.now
  if not head then
    head, outdone, last = Suppressed.counted(entry, ground, severity, here, chunk.now)
    chunk.heads[severity] = not entry and not outdone and head or chunk.heads[severity]
  end
  chunk.entries[id] = head .. chunk.marks.said[position]
  chunk.lasts[id] = last > chunk.now and integer(last) or nil
  chunk.outdone = outdone and id or nil
  return not outdone
end

-- The severity of a threat as it stands in this chunk: 0 to 3; nil if it is in no level.
local function severity_here(chunk, key, state)
  if type(state) == 'number' then
    return string.byte(chunk.args[chunk.arg_at + state])
  elseif type(state) == 'string' then
    return string.byte(state, SERVER_BYTES + 1)
  elseif state then
    return state.header.severity
  end
  local record = chunk.nobody and '' or redis.call('GETRANGE', key, 0, HEADER_BYTES - 1)
  if record == '' then
    return nil
  end
  local format, level = string.byte(record, 1, 2)
  if #record < HEADER_BYTES or format ~= FORMAT then
    unpack_header(record)     -- which refuses it, and says why
  elseif level < LEVEL_WORKING or level > LEVEL_LONG then
    refuse('DAMAGED', 'a record is in a level that this library does not know')
  end
  return string.byte(record, SERVER_BYTES + 1)
end

-- Is this report marked as noise, and is it to be suppressed? What was removed stays out without an entry.
function Suppressed.takes(chunk, position, key, state)
  chunk.outdone = nil
  local ground = chunk.marks.grounds[chunk.marks.whose[position]]
  if not ground or (ground[3] > 0 and chunk.now >= ground[3]) then
    return false
  end
  local here = severity_here(chunk, key, state)
  if not here and not chunk.no_memory
    and redis.call('HEXISTS', chunk.keys.removed, chunk.ids[position]) == 1 then
    return false
  end
  return holds(chunk, position, ground, here)
end
