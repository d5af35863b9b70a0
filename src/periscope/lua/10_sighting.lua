-- What a report of a known threat means: something new, or nothing. Each source has a last word;
-- two feeds that disagree must not refresh a threat for ever by contradicting each other.

local REPORT = '<BI6c8c6'
local SOURCES_KEPT = 32      -- last words kept per threat; a flood of source names cannot grow it

-- Has more than one source reported it, so that its last words are under the sources key?
local function several_sources(flags)
  return flags % (2 * FLAG_SOURCES) >= FLAG_SOURCES
end

-- The last words of a threat's sources, newest first: {source, fingerprint, observed_at, severity}.
function Sighting.last_words(packed)
  local words = {}
  for position = 1, #packed, REPORT_BYTES do
    local severity, observed_at, fingerprint, source = struct.unpack(REPORT, packed, position)
    words[#words + 1] = {source = source, fingerprint = fingerprint,
      observed_at = observed_at, severity = severity}
  end
  return words
end

function Sighting.pack_words(words)
  local packed = {}
  for position = 1, math.min(#words, SOURCES_KEPT) do
    local word = words[position]
    packed[position] = struct.pack(REPORT, word.severity, word.observed_at,
      word.fingerprint, word.source)
  end
  return table.concat(packed)
end

-- Does `report` say something new after `word`, the last one of the same source?
local function says_new(report, word)
  if report.observed_at > 0 and word.observed_at > 0 and report.observed_at < word.observed_at then
    return false
  end
  return report.observed_at > word.observed_at or report.fingerprint ~= word.fingerprint
end

-- Is the report, to the last bit, what the only source of this record said last? This answers most
-- reports of a feed that is polled, without unpacking anything.
function Sighting.is_repetition(record, packed)
  local format, level, _, _, _, flags = string.byte(record, 1, 6)
  return format == FORMAT and level == LEVEL_WORKING and not several_sources(flags)
    and string.sub(record, SERVER_BYTES + 1) == string.sub(packed, 1, REPORT_BYTES)
end

-- The hash of the source: the last six bytes of a header's report part.
local function source_of(text, last)
  return string.sub(text, last - 5, last)
end

-- format, level, status, flags, revision, interactions, escalations, sightings, last_activity
local PARTS = '<BBxBxBxI4I4I4xxxxxxxxI4xxxxxxxxxxI6'

-- The usual sighting (the threat is open and has one source, which says it again) on the bytes
-- themselves: the new header and its board score; nil where it takes more. The tables of `sight`
-- cost five times as much, and a feed may renew every threat at each poll.
function Sighting.renew(record, packed, now)
  if #record < HEADER_BYTES then
    return nil
  end
  local format, level, status, flags, revision, interactions, escalations, sightings, last =
    struct.unpack(PARTS, record)
  local severity, observed_at = struct.unpack('<BI6', packed)
  if format ~= FORMAT or level ~= LEVEL_WORKING or status ~= OPEN or flags ~= 0
    or source_of(record, HEADER_BYTES) ~= source_of(packed, REPORT_BYTES)
    or observed_at < struct.unpack('<xI6', record, SERVER_BYTES + 1) then
    return nil
  end
  last = math.max(last, now)
  local bucket = severity * BUCKETS_OF_SEVERITY + math.min(escalations, 3) * 11
    + math.min(interactions, 10)
  return string.sub(record, 1, 7) .. struct.pack('<I4', revision + 1) .. string.sub(record, 12, 27)
    .. struct.pack('<I4', sightings + 1) .. string.sub(record, 32, 41) .. struct.pack('<I6', last)
    .. string.sub(record, 48, SERVER_BYTES) .. packed, integer(bucket * SPAN + last)
end

-- What is known of a threat, from the header of its record.
function Sighting.known(record, id, sources)
  local header = unpack_header(record)
  if header.level ~= LEVEL_WORKING then
    refuse('DAMAGED', 'a record is in a level that this library does not know')
  end
  local words
  if several_sources(header.flags) then
    words = Sighting.last_words(redis.call('HGET', sources, id) or '')
  else
    words = Sighting.last_words(string.sub(record, SERVER_BYTES + 1))
  end
  return {header = header, id = id, words = words}
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
    header.status, header.status_severity = OPEN, 0
  end
end

-- Take a new word into a known threat: its counts stay, its severity is the highest of the last words.
local function sight(state, report, position, body, now)
  local header = state.header
  renew_words(state.words, report, position)
  header.severity = 0
  for _, word in ipairs(state.words) do
    header.severity = math.max(header.severity, word.severity)
  end
  if #state.words > 1 and not several_sources(header.flags) then
    header.flags = header.flags + FLAG_SOURCES
  end
  header.fingerprint, header.source = report.fingerprint, report.source
  header.observed_at = report.observed_at
  header.sightings, header.revision = header.sightings + 1, header.revision + 1
  header.last_activity = math.max(header.last_activity, now)
  reopen_if_raised(header)
  state.body, state.changed = body, true
end

-- Apply a report to what is known; return whether it was a sighting.
function Sighting.apply(state, packed, now)
  local report = Sighting.last_words(string.sub(packed, 1, REPORT_BYTES))[1]
  local body = string.sub(packed, REPORT_BYTES + 1)
  for position, word in ipairs(state.words) do
    if word.source == report.source then
      if not says_new(report, word) then
        return false
      end
      sight(state, report, position, body, now)
      return true
    end
  end
  sight(state, report, nil, body, now)
  return true
end
