-- What a report of a known threat means: something new, or nothing. Each source has a last word;
-- two feeds that disagree must not refresh a threat for ever by contradicting each other.

local REPORT = '<BI6c8c6'
local SOURCES_KEPT = 32      -- last words kept per threat; a flood of source names cannot grow it

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
  return format == FORMAT and level >= LEVEL_WORKING and level <= LEVEL_LONG
    and not has(flags, FLAG_SOURCES)
    and string.sub(record, SERVER_BYTES + 1) == string.sub(packed, 1, REPORT_BYTES)
end

-- format, level, home, status, flags, revision, interactions, escalations, dismissals, sightings,
-- first_seen, last_activity; then of the last report severity, observed_at, source
local PARTS = '<BBBBxBxI4I4I4I4xxxxI4xxxxI6I6' .. 'c20BI6xxxxxxxxc6'
-- severity, observed_at, source of a report
local SAID = '<BI6xxxxxxxxc6'
-- The header with what a sighting changes: revision, sightings, last_activity.
local RENEWED = '<c7I4c16I4c10I6'

-- The place among the exceptions that a usual sighting gives an open threat which has `home` 0; nil
-- where it has none, or keeps the one it has.
local function renewed_exception(interactions, dismissals, severity, was, first, before, last)
  if interactions == 0 then
    if last ~= first and (before == first or severity ~= was) then
      return severity * SPAN + first
    end
  elseif dismissals > 0 and severity >= 2 then
    return Index.SET_ASIDE * SPAN + last
  end
end

-- The usual sighting (the threat is open, was never recalled and has one source, which says it again)
-- on the bytes themselves: the new header, its board score, its place among the exceptions if that
-- changes; nil where it takes more. The tables of `sight` cost five times as much, and a feed may
-- renew every threat at each poll.
function Sighting.renew(rules, record, packed, now)
  if #record < HEADER_BYTES then
    return nil
  end
  local format, level, home, status, flags, revision, interactions, escalations, dismissals,
    sightings, first, before, rest, was, observed_before, source_before = struct.unpack(PARTS, record)
  local severity, observed_at, source = struct.unpack(SAID, packed)
  if format ~= FORMAT or level ~= LEVEL_WORKING or home ~= 0 or status ~= OPEN or flags ~= 0
    or (dismissals > 0 and (severity >= 2) ~= (was >= 2))
    or source ~= source_before or observed_at < observed_before then
    return nil
  end
  local last = math.max(before, now)
  local bucket = bucket_of(rules, severity, escalations, interactions)
  return struct.pack(RENEWED, string.sub(record, 1, 7), revision + 1, string.sub(record, 12, 27),
      sightings + 1, string.sub(record, 32, 41), last) .. rest .. packed, bucket * SPAN + last,
    renewed_exception(interactions, dismissals, severity, was, first, before, last)
end

-- What is known of a threat, from the header of its record.
function Sighting.known(keys, rules, record, id, record_key)
  local state = {header = unpack_header(record), id = id}
  Index.load(keys, state, record_key)
  if has(state.header.flags, FLAG_SOURCES) then
    state.words = Sighting.last_words(redis.call('HGET', keys.sources, id) or '')
  else
    state.words = Sighting.last_words(string.sub(record, SERVER_BYTES + 1))
  end
  state.before = Index.places(rules, state)
  return state
end

-- A threat that departed and is reported anew: what its stub remembers, in level 1 at `now`. Its counts
-- stay; its time, its status and its level begin anew.
function Sighting.returned(stub, id, now)
  local header = unpack_header(stub.header)
  local words = has(header.flags, FLAG_SOURCES) and Sighting.last_words(stub.words)
    or Sighting.last_words(string.sub(stub.header, SERVER_BYTES + 1))
  header.level, header.home, header.status, header.status_severity = LEVEL_WORKING, 0, OPEN, 0
  header.outcome, header.flags = 0, has(header.flags, FLAG_SOURCES) and FLAG_SOURCES or 0
  header.first_seen, header.last_activity, header.entered = now, now, now
  return {header = header, id = id, words = words, analysts = stub.analysts, returned = true}
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
local function reopen_if_raised(header, now)
  if Moves.is_raised(header) then
    Moves.reopen(header, now)
  end
end

-- Take a new word into a known threat: its counts stay, its severity is the highest of the last words.
-- One of level 2 or 3 is recalled by it.
local function sight(state, report, position, body, now)
  local header = state.header
  if header.level ~= LEVEL_WORKING then
    state.recalled_from = header.level
    Moves.recall(state, now, false)
  end
  renew_words(state.words, report, position)
  header.severity = 0
  for _, word in ipairs(state.words) do
    header.severity = math.max(header.severity, word.severity)
  end
  mark(header, FLAG_SOURCES, #state.words > 1)
  header.fingerprint, header.source = report.fingerprint, report.source
  header.observed_at = report.observed_at
  header.sightings = header.sightings + (state.returned and 0 or 1)
  header.revision = header.revision + 1
  header.last_activity = math.max(header.last_activity, now)
  reopen_if_raised(header, now)
  state.body, state.changed = body, true
end

-- Apply a report to what is known; return whether it said something new.
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
