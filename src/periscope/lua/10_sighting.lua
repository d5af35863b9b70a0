-- What a report of a known threat means: something new, or nothing. Each source has a last word;
-- two feeds that disagree must not refresh a threat for ever by contradicting each other.

local SOURCES_KEPT = 32      -- last words kept per threat; a flood of source names cannot grow it

-- The last words of a threat's sources, newest first: {source, fingerprint, observed_at, severity}.
function Sighting.last_words(packed)
  local words = {}
  for position = 1, #packed, REPORT_BYTES do
    local severity, observed_at, fingerprint, source = struct.unpack('<BI6c8c8', packed, position)
    words[#words + 1] = {source = source, fingerprint = fingerprint,
      observed_at = observed_at, severity = severity}
  end
  return words
end

function Sighting.pack_words(words)
  local packed = {}
  for position = 1, math.min(#words, SOURCES_KEPT) do
    local word = words[position]
    packed[position] = struct.pack('<BI6c8c8', word.severity, word.observed_at,
      word.fingerprint, word.source)
  end
  return table.concat(packed)
end

-- Does `report` say something new after `word`, the last one of the same source?
function Sighting.says_new(report, word)
  if report.observed_at > 0 and word.observed_at > 0 and report.observed_at < word.observed_at then
    return false
  end
  return report.observed_at > word.observed_at or report.fingerprint ~= word.fingerprint
end

-- What was known of the threat before the first report of this chunk; nil if nothing.
function Sighting.load(key, id, sources)
  local record = redis.call('GETRANGE', key, 0, HEADER_BYTES - 1)
  if record == '' then
    return nil
  end
  local state = {header = unpack_header(record), id = id}
  local header = state.header
  if header.level ~= LEVEL_WORKING then
    refuse('DAMAGED', 'a record is in a level that this library does not know')
  end
  if math.floor(header.flags / FLAG_SOURCES) % 2 == 1 then
    state.words = Sighting.last_words(redis.call('HGET', sources, id) or '')
  else
    state.words = {{source = header.source, fingerprint = header.fingerprint,
      observed_at = header.observed_at, severity = header.severity}}
  end
  return state
end

-- Put the report first among the last words, without the older word of its source.
local function renew_words(words, report, position)
  if position then
    report.observed_at = math.max(report.observed_at, words[position].observed_at)
    table.remove(words, position)
  end
  table.insert(words, 1, report)
  if #words > SOURCES_KEPT then
    table.remove(words)
  end
end

-- A raise opens again what was set aside (DESIGN 2): a severity above that of the change of status.
local function reopen_if_raised(header)
  if header.status ~= OPEN and header.severity > header.status_severity then
    header.status, header.status_severity, header.status_until = OPEN, 0, 0
  end
end

-- Take a new word into a known threat: its counts stay, its severity is the highest of the last words.
function Sighting.sight(state, report, position, body, now)
  local header = state.header
  renew_words(state.words, report, position)
  header.severity = 0
  for _, word in ipairs(state.words) do
    header.severity = math.max(header.severity, word.severity)
  end
  if #state.words > 1 and math.floor(header.flags / FLAG_SOURCES) % 2 == 0 then
    header.flags = header.flags + FLAG_SOURCES
  end
  header.fingerprint, header.source = report.fingerprint, report.source
  header.observed_at = report.observed_at
  header.sightings, header.revision = header.sightings + 1, header.revision + 1
  header.last_activity = math.max(header.last_activity, now)
  reopen_if_raised(header)
  state.body, state.changed = body, true
end
