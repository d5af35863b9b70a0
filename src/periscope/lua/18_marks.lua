-- Marks: which reports of a chunk a warninglist or a rule calls noise, and whether each is suppressed. A mark
-- that is outdone (by a higher severity, or more reports than its rate allows) lets its report go the usual
-- way; nothing is written here.

local LONGEST = {cause = 256, source = 256, title = 120}   -- bytes
local MOST_COUNTED = 4294967295

local function is_count(value)
  return type(value) == 'number' and value >= 0 and value < SPAN * 64 and value % 1 == 0
end

local function is_text(value, name)
  return type(value) == 'string' and #value <= LONGEST[name]
end

-- A ground of marks, {cause, most, window_ms, until_ms}: is it packed as marks.py packs it?
local function is_ground(ground)
  return type(ground) == 'table' and is_text(ground[1], 'cause') and ground[1] ~= ''
    and is_count(ground[2]) and is_count(ground[3]) and is_count(ground[4])
end

-- The marks of a chunk by position, {ground, source, title} or 0, as marks.py packs them.
local function read_marks(text, size)
  local read, parts = pcall(cmsgpack.unpack, text)
  local grounds, marks = {}, {}
  if read and type(parts) == 'table' and type(parts[1]) == 'table' and type(parts[2]) == 'table' then
    grounds, marks = parts[1], parts[2]
  end
  local fits = #marks == size and #grounds > 0
  for position = 1, #grounds do
    fits = fits and is_ground(grounds[position])
  end
  for position = 1, fits and size or 0 do
    local one = marks[position]
    if type(one) == 'table' and grounds[one[1]] and is_text(one[2], 'source')
      and is_text(one[3], 'title') then
      one[1] = grounds[one[1]]
    else
      fits = fits and one == 0
    end
  end
  if not fits then
    refuse('BAD_CALL', 'the marks are not packed as they must be')
  end
  return marks
end

-- Give a chunk its marks, and the keys of entries, which come after the single ones.
function Suppressed.join(chunk, text)
  chunk.marks, chunk.entries = read_marks(text, chunk.size), {}
  Suppressed.name_keys(chunk.keys, chunk.names, #SINGLES + 1)
end

-- The entry of an id as it stands in this chunk; one that is too old begins anew.
local function entry_of(chunk, id)
  local entry = chunk.entries[id]
  if entry then
    return entry
  end
  local packed = redis.call('HGET', chunk.keys.suppressed, id)
  local before = packed and Suppressed.unpack(packed) or nil
  entry = before
  if not before or chunk.now - before.last >= Suppressed.KEPT_MS then
    entry = {count = 0, first = chunk.now, last = 0, since = 0, within = 0, returned = 0}
  end
  entry.was = before and before.cause
  chunk.entries[id] = entry
  return entry
end

-- Count a marked report in its window: has it come more often than the ground allows? A window begins with
-- the first report after the one before has ended.
local function is_over(entry, ground, now)
  local most, window_ms = ground[2], ground[3]
  if entry.within == 0 or now < entry.since or now - entry.since >= window_ms then
    entry.since, entry.within = now, 0
  end
  entry.within = math.min(entry.within + 1, MOST_COUNTED)
  return window_ms > 0 and entry.within > most
end

-- Is the report at this position suppressed? `here` is the severity of its threat now, nil where it is in no
-- level. If it is marked and goes the usual way all the same, `chunk.outdone` is its entry.
local function holds(chunk, position, id, here)
  local mark = chunk.marks[position]
  local severity, ground = string.byte(chunk.args[chunk.arg_at + position]), mark[1]
  local entry = entry_of(chunk, id)
  local over = is_over(entry, ground, chunk.now)
  local raised = severity > (here or entry.severity or 3)
  entry.severity = math.max(entry.severity or 0, severity)
  entry.last, entry.cause = math.max(entry.last, chunk.now), ground[1]
  entry.source, entry.title = mark[2], mark[3]
  if over or raised then
    chunk.outdone = entry
    return false
  end
  entry.count = math.min(entry.count + 1, MOST_COUNTED)
  return true
end

-- Is the report at this position marked, and does its mark still hold?
local function is_marked(chunk, position)
  local mark = chunk.marks[position]
  return mark ~= 0 and (mark[1][4] == 0 or chunk.now < mark[1][4])
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
  local record = redis.call('GETRANGE', key, 0, HEADER_BYTES - 1)
  if record == '' then
    return nil
  end
  local header = unpack_header(record)
  if header.level < LEVEL_WORKING or header.level > LEVEL_LONG then
    refuse('DAMAGED', 'a record is in a level that this library does not know')
  end
  return header.severity
end

-- Is this report marked as noise, and is it to be suppressed? What was removed stays out without an entry.
function Suppressed.takes(chunk, position, key, state)
  chunk.outdone = nil
  if not is_marked(chunk, position) then
    return false
  end
  local id, here = string.sub(key, chunk.prefix_length + 1), severity_here(chunk, key, state)
  if not here and redis.call('HEXISTS', chunk.keys.removed, id) == 1 then
    return false
  end
  return holds(chunk, position, id, here)
end
