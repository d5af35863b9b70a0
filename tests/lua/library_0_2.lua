#!lua name=periscope
-- Periscope's function library. The files of this folder are joined in the order of their names;
-- every file but this one is wrapped in do ... end, so only what stands here is shared.
--
-- Rules of the house: check everything, then write. A function has one line `-- first write`;
-- after it nothing can fail. Every function touches one partition and declares what it writes.
-- Ids and times arrive as text; fingerprints are bytes and never numbers. Order text with
-- `bytes_before`, never with `<`: the server compares text by its locale.

local VERSION = 2            -- of this library; raise it with every change to these files
local FORMAT = 1             -- of the records; a newer one on the server is refused

local HEADER = '<BBBBBBBI4I4I4I4I4I4I2I2I6I6I6I6dBI6c8c6'
local HEADER_BYTES = 88
local SERVER_BYTES = 67      -- what this library fills in; the rest of the header comes packed
local REPORT_BYTES = 21      -- severity 1, observed_at 6, fingerprint 8, source 6

local LEVEL_WORKING, LEVEL_SHORT, LEVEL_LONG = 1, 2, 3
local OPEN, DISMISSED, SNOOZED, CLOSED = 0, 1, 2, 3
local FLAG_LATCHED = 1       -- eligible for promotion: see the promotable key
local FLAG_ESCALATED = 2     -- escalated since it was recalled
local FLAG_PROTECTED = 4     -- in level 3: does not decay
local FLAG_SOURCES = 8       -- more than one source has reported it: see the sources key
local BUCKETS = 176          -- severity (4) x escalations capped at 3 (4) x interactions capped at 10 (11)
local BUCKETS_OF_SEVERITY = 44
local SPAN = 2 ^ 42          -- milliseconds that a bucket has room for: to the year 2109
local REPLY_BYTES = 1048576  -- a reply is cut after this many bytes of records
local SAFE_INTEGER = 2 ^ 53

-- What a file lends to the files after it; each is filled by the file that bears its name.
local Score, Sighting, Index, Moves, Log, Memory = {}, {}, {}, {}, {}, {}
local Chunk, Stretch, Rank, Desk, Claims, Undo, Verbs = {}, {}, {}, {}, {}, {}, {}

-- The keys that a partition has once, in the order of SINGLE_KEYS in keys.py.
local SINGLES = {'meta', 'ledger', 'board', 'exceptions', 'promotable', 'claims', 'short',
  'short_rank', 'long', 'long_rank', 'sources', 'stubs', 'stub_ages', 'removed', 'departures',
  'events', 'audit', 'done', 'done_before'}

-- Fail a function before its first write. `code` is one of the words of functions.py; `text` must
-- hold no threat content.
local function refuse(code, text)
  error({err = code .. ' ' .. text})
end

-- Decimal text of an integral double, exact up to 2^53 (`..` would write 1.5e+15).
local function integer(value)
  return string.format('%.0f', value)
end

-- Milliseconds of the server's clock, or the argument that a test gave.
local function clock(given)
  if given ~= '' then
    return tonumber(given)
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The single keys by name; a function's own keys begin at `first`.
local function partition_keys(keys)
  local named = {first = #SINGLES + 1}
  for position, name in ipairs(SINGLES) do
    named[name] = keys[position]
  end
  return named
end

local function has(flags, flag)
  return flags % (2 * flag) >= flag
end

-- Set or clear a flag of a header.
local function mark(header, flag, on)
  if has(header.flags, flag) ~= on then
    header.flags = header.flags + (on and flag or -flag)
  end
end

-- The key prefix of records, from the partition's meta key.
local function record_prefix(meta)
  return string.sub(meta, 1, -5) .. 't:'
end

-- Check that the partition is prepared and its records are of our format; return the policy revision.
local function partition_revision(meta)
  local state = redis.call('HMGET', meta, 'format', 'policy_revision')
  if not state[1] then
    refuse('UNPREPARED', 'this partition has no meta key')
  end
  if tonumber(state[1]) > FORMAT then
    refuse('NEWER_FORMAT', 'records of format ' .. integer(tonumber(state[1])))
  end
  return tonumber(state[2])
end

-- Refuse a caller that ranks by another policy than the partition does.
local function same_policy(meta, revision)
  local here = partition_revision(meta)
  if revision < here then
    refuse('STALE_POLICY', 'revision ' .. integer(revision) .. ' is older than ' .. integer(here))
  elseif revision > here then
    refuse('OLD_PARTITION', 'revision ' .. integer(here) .. ' is older than ' .. integer(revision))
  end
end

-- The policy revision of a partition that is about to be written to; one who brings a newer policy
-- takes the partition along (`bring_forward`), one with an older one is refused.
local function writers_revision(meta, revision)
  local here = partition_revision(meta)
  if revision < here then
    refuse('STALE_POLICY', 'revision ' .. integer(revision) .. ' is older than ' .. integer(here))
  end
  return here
end

local function bring_forward(meta, here, rules)
  if rules.revision > here then
    redis.call('HSET', meta, 'policy_revision', integer(rules.revision), 'policy', rules.text)
  end
end

-- A record's header as a table. Spelt out, because a constructor allocates once and a loop six times.
local function unpack_header(record)
  if #record < HEADER_BYTES then
    refuse('DAMAGED', 'a record is shorter than its header')
  end
  local format, level, home, status, status_severity, flags, outcome,
    revision, interactions, escalations, dismissals, views, sightings,
    analysts, consolidations,
    first_seen, last_activity, entered, consolidated, confidence,
    severity, observed_at, fingerprint, source = struct.unpack(HEADER, record)
  if format ~= FORMAT then
    refuse('NEWER_FORMAT', 'a record of format ' .. integer(format))
  end
  return {format = format, level = level, home = home, status = status,
    status_severity = status_severity, flags = flags, outcome = outcome, revision = revision,
    interactions = interactions, escalations = escalations, dismissals = dismissals,
    views = views, sightings = sightings, analysts = analysts, consolidations = consolidations,
    first_seen = first_seen, last_activity = last_activity, entered = entered, consolidated = consolidated, confidence = confidence,
    severity = severity, observed_at = observed_at, fingerprint = fingerprint, source = source}
end

local function pack_header(h)
  return struct.pack(HEADER, h.format, h.level, h.home, h.status, h.status_severity, h.flags,
    h.outcome, h.revision, h.interactions, h.escalations, h.dismissals, h.views, h.sightings,
    h.analysts, h.consolidations, h.first_seen, h.last_activity, h.entered,
    h.consolidated, h.confidence, h.severity, h.observed_at, h.fingerprint, h.source)
end

-- A threat's place on the board: 10 bits of status and bucket, 42 bits of last activity.
local function board_place(header)
  local bucket = header.severity * BUCKETS_OF_SEVERITY
    + math.min(header.escalations, 3) * 11 + math.min(header.interactions, 10)
  return (header.status * BUCKETS + bucket) * SPAN + header.last_activity
end

-- Does `a` sort before `b` as bytes?
local function bytes_before(a, b)
  for position = 1, math.min(#a, #b) do
    local left, right = string.byte(a, position), string.byte(b, position)
    if left ~= right then
      return left < right
    end
  end
  return #a < #b
end
do
-- periscope_control: read what holds for the whole database, setting it where it is missing.
-- Why: the first program to come decides; all later ones read the same answer.
-- KEYS: control
-- ARGV: format, partitions, secret, policy
-- Returns: {format, partitions, secret, policy, policy_revision}, all text
local function control(keys, args)
  local key = keys[1]
  local found = redis.call('HGET', key, 'format')
  if found and tonumber(found) > FORMAT then
    refuse('NEWER_FORMAT', 'a database of format ' .. integer(tonumber(found)))
  end
  if not found then
    -- first write
    redis.call('HSET', key, 'format', args[1], 'partitions', args[2], 'secret', args[3],
      'policy', args[4], 'policy_revision', '1')
  end
  return redis.call('HMGET', key, 'format', 'partitions', 'secret', 'policy', 'policy_revision')
end

-- periscope_set_policy: replace the policy if nobody else did meanwhile.
-- Why: two administrators at once must not each believe that theirs holds.
-- KEYS: control
-- ARGV: expected_revision, policy
-- Returns: {'SET' | 'CHANGED', policy_revision}
local function set_policy(keys, args)
  local revision = tonumber(redis.call('HGET', keys[1], 'policy_revision'))
  if revision ~= tonumber(args[1]) then
    return {'CHANGED', revision}
  end
  -- first write
  redis.call('HSET', keys[1], 'policy', args[2], 'policy_revision', integer(revision + 1))
  return {'SET', revision + 1}
end

-- periscope_prepare: make a partition ready, and bring its policy revision up to the caller's.
-- Why: a partition knows by itself whether a caller ranks by the rules in force.
-- KEYS: meta
-- ARGV: format, policy_revision, policy
-- Returns: policy_revision
local function prepare(keys, args)
  local state = redis.call('HMGET', keys[1], 'format', 'policy_revision', 'policy')
  if state[1] and tonumber(state[1]) > FORMAT then
    refuse('NEWER_FORMAT', 'a partition of format ' .. integer(tonumber(state[1])))
  end
  local revision = math.max(tonumber(args[2]), tonumber(state[2] or 0))
  local newer = not state[1] or revision ~= tonumber(state[2]) or not state[3]
  if newer then
    -- first write
    redis.call('HSET', keys[1], 'format', args[1], 'policy_revision', integer(revision))
    if args[3] then           -- programs of version 0.1 give none
      redis.call('HSET', keys[1], 'policy', args[3])
    end
  end
  return revision
end

-- periscope_note: read a note on the whole database, or write it if it still says what is expected.
-- Why: which archive is its own, and whether sweeps are paused, must be one answer for all processes.
-- KEYS: control
-- ARGV: name, expected, value
-- Returns: what the note says now, '' for nothing
local function note(keys, args)
  local found = redis.call('HGET', keys[1], args[1]) or ''
  if found ~= args[2] or args[2] == args[3] then
    return found
  end
  -- first write
  redis.call('HSET', keys[1], args[1], args[3])
  return args[3]
end

redis.register_function('periscope_control', control)
redis.register_function('periscope_set_policy', set_policy)
redis.register_function('periscope_prepare', prepare)
redis.register_function('periscope_note', note)
end
do
-- The score of DESIGN 2 on the server, and its inverse: from a score back to a moment. scoring.py is
-- the reference; both add the terms in the same order, so that they agree bit for bit.

local policy_text, policy    -- the last policy seen, parsed: every call brings it as text

-- What follows the first ten numbers of a policy; times in ms, limits in bytes or numbers.
local FURTHER = {'promote_score', 'promote_analysts', 'promote_escalations', 'long_confidence',
  'long_consolidations', 'validated_escalations', 'protected_consolidations',
  'consolidation_interval', 'decay_per_day', 'decay_floor', 'working_ttl', 'short_ttl', 'long_ttl',
  'settle_after', 'target_low', 'target_medium', 'target_high', 'target_critical', 'undo_within',
  'remember_for', 'remember_limit', 'stub_ttl', 'stub_limit', 'events_limit', 'audit_limit'}

-- The static part of every bucket's score: the first three terms, added as scoring.py adds them.
local function static_parts(numbers)
  local static = {}
  for severity = 0, 3 do
    for escalations = 0, 3 do
      for interactions = 0, 10 do
        static[severity * BUCKETS_OF_SEVERITY + escalations * 11 + interactions] =
          (numbers[2] * numbers[6 + severity] + numbers[3] * math.min(1, interactions / 10))
          + numbers[4] * math.min(1, escalations / 3)
      end
    end
  end
  return static
end

-- policy_revision, four weights, four severity values (LOW first), time constant in ms; FURTHER.
function Score.policy(text)
  if text == policy_text then
    return policy
  end
  local numbers = {}
  for word in string.gmatch(text, '%S+') do
    numbers[#numbers + 1] = tonumber(word)
  end
  local parsed = {text = text, revision = numbers[1], recency = numbers[5], constant = numbers[10],
    static = static_parts(numbers)}
  for position, name in ipairs(FURTHER) do
    parsed[name] = numbers[10 + position]
  end
  if parsed.audit_limit then
    parsed.targets = {[0] = parsed.target_low, parsed.target_medium, parsed.target_high,
      parsed.target_critical}
    parsed.decay_rate = -math.log(parsed.decay_per_day) / 86400000
  end
  policy_text, policy = text, parsed
  return parsed
end

-- The score in `bucket` of a threat last active at `moment`, at time `now`.
function Score.at(rules, bucket, moment, now)
  return rules.static[bucket] + rules.recency * math.exp(-math.max(0, now - moment) / rules.constant)
end

-- The score of a working threat at `now`.
function Score.of(rules, header, now)
  return Score.at(rules, header.severity * BUCKETS_OF_SEVERITY + math.min(header.escalations, 3) * 11
    + math.min(header.interactions, 10), header.last_activity, now)
end

-- Narrow [low, high], where fits(low) and not fits(high), to neighbours; return the lower one.
local function bisect(low, high, fits)
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if fits(middle) then
      low = middle
    else
      high = middle
    end
  end
  return low
end

-- From a good guess, find a bracket for `bisect` in a few steps: a plain search costs 42 of them.
local function bracket(guess, now, fits)
  local low, high, step = 0, now, 1
  if fits(guess) then
    low = guess
    while low + step < now and fits(low + step) do
      low, step = low + step, step * 2
    end
    high = math.min(now, low + step)
  else
    high = guess
    while high - step > 0 and not fits(high - step) do
      high, step = high - step, step * 2
    end
    low = math.max(0, high - step)
  end
  return low, high
end

-- The last moment at which a threat of `bucket` scores `limit` or less (less than it, if strict);
-- -1 if none does. Exact: it compares the very doubles that the ranking compares.
function Score.last_moment(rules, bucket, limit, strict, now)
  local function fits(moment)
    local score = Score.at(rules, bucket, moment, now)
    return score < limit or (not strict and score == limit)
  end
  if fits(now) then
    return SPAN - 1
  end
  if not fits(0) then
    return -1
  end
  local guess = now + rules.constant * math.log((limit - rules.static[bucket]) / rules.recency)
  if guess ~= guess or guess < 0 then
    guess = 0
  end
  local low, high = bracket(math.min(now, math.floor(guess)), now, fits)
  return bisect(low, high, fits)
end
end
do
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

-- The hash of the source: the last six bytes of a header's report part.
local function source_of(text, last)
  return string.sub(text, last - 5, last)
end

-- format, level, home, status, flags, revision, interactions, escalations, dismissals, sightings,
-- first_seen, last_activity
local PARTS = '<BBBBxBxI4I4I4I4xxxxI4xxxxI6I6'

-- The place among the exceptions that a usual sighting gives an open threat which has `home` 0; nil
-- where it has none, or keeps the one it has.
local function renewed_exception(interactions, dismissals, severity, was, first, before, last)
  if interactions == 0 then
    if last ~= first and (before == first or severity ~= was) then
      return integer(severity * SPAN + first)
    end
  elseif dismissals > 0 and severity >= 2 then
    return integer(Index.SET_ASIDE * SPAN + last)
  end
end

-- The usual sighting (the threat is open, was never recalled and has one source, which says it again)
-- on the bytes themselves: the new header, its board score, its place among the exceptions if that
-- changes; nil where it takes more. The tables of `sight` cost five times as much, and a feed may
-- renew every threat at each poll.
function Sighting.renew(record, packed, now)
  if #record < HEADER_BYTES then
    return nil
  end
  local format, level, home, status, flags, revision, interactions, escalations, dismissals,
    sightings, first, before = struct.unpack(PARTS, record)
  local severity, observed_at = struct.unpack('<BI6', packed)
  local was, observed_before = struct.unpack('<BI6', record, SERVER_BYTES + 1)
  if format ~= FORMAT or level ~= LEVEL_WORKING or home ~= 0 or status ~= OPEN or flags ~= 0
    or (dismissals > 0 and (severity >= 2) ~= (was >= 2))
    or source_of(record, HEADER_BYTES) ~= source_of(packed, REPORT_BYTES)
    or observed_at < observed_before then
    return nil
  end
  local last = math.max(before, now)
  local bucket = severity * BUCKETS_OF_SEVERITY + math.min(escalations, 3) * 11
    + math.min(interactions, 10)
  return string.sub(record, 1, 7) .. struct.pack('<I4', revision + 1) .. string.sub(record, 12, 27)
    .. struct.pack('<I4', sightings + 1) .. string.sub(record, 32, 41) .. struct.pack('<I6', last)
    .. string.sub(record, 48, SERVER_BYTES) .. packed, integer(bucket * SPAN + last),
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
local function reopen_if_raised(header)
  if header.status ~= OPEN and header.severity > header.status_severity then
    header.status, header.status_severity, header.outcome = OPEN, 0, 0
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
  reopen_if_raised(header)
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
end
do
-- The indexes of a threat: every place it has in a sorted set, as a function of its header alone.
-- Whoever changes a header takes the places before and after, and writes the difference: so no index
-- can forget a change, and the deep ledger can check each of them.

local RANGE_OF_AGE = 64      -- keeps the sort key of what decays above zero: bytes sort as the number
local LEAST_CONFIDENCE = 1e-9
local MOST_INDUSTRIES, LONGEST_INDUSTRY = 8, 64
local MOST_LOOKED_AT, LONGEST_LOOKED_AT = 64, 256 -- of a list, and bytes of a name: feeds are hostile
local VALUES_OF_A_CALL = 2000

-- Classes of exceptions: 0 to 3 unseen with sightings, by severity; then these.
Index.SET_ASIDE, Index.RECALLED = 4, 5

-- Class and moment of a level 1 threat whose end the board cannot tell (DESIGN 2); nil for most.
local function exception(header)
  if header.home ~= 0 then
    return Index.RECALLED, math.max(header.last_activity, header.entered)
  elseif header.status ~= OPEN then
    return nil
  elseif header.interactions == 0 then
    if header.last_activity ~= header.first_seen then
      return header.severity, header.first_seen
    end
  elseif header.severity >= 2 and header.dismissals > 0 then
    return Index.SET_ASIDE, header.last_activity
  end
end

local function exception_place(header)
  local class, moment = exception(header)
  return class and class * SPAN + moment or false
end

-- Confidence (or any number from 0 up), last activity and id as bytes that sort like the three.
local function sorted(number, header, id)
  return struct.pack('>d', number) .. struct.pack('>I6', header.last_activity) .. id
end

-- The order of what decays, which decay does not change: log confidence plus rate times entry time.
local function decay_order(rules, header)
  return math.log(math.max(header.confidence, LEAST_CONFIDENCE)) + rules.decay_rate * header.entered
    + RANGE_OF_AGE
end

-- Confidence now, from the sort key of `decay_order` (DESIGN 2: closed form, never written back).
function Index.decayed(rules, header, now)
  local days = math.max(0, now - header.entered) / 86400000
  return math.max(rules.decay_floor, header.confidence * rules.decay_per_day ^ days)
end

-- The names of industries in a report's metadata: `industry` or `industries`, text or a list.
local function names_in(metadata)
  local names = {}
  for _, field in ipairs({'industry', 'industries'}) do
    local value = metadata[field]
    if type(value) == 'string' then
      names[#names + 1] = value
    elseif type(value) == 'table' then
      for position = 1, math.min(#value, MOST_LOOKED_AT) do
        names[#names + 1] = type(value[position]) == 'string' and value[position] or ''
      end
    end
  end
  return names
end

-- Industries of a body, in lower case, bounded; '' (all threats) is the first of them.
function Index.industries(body)
  local read, report = pcall(cjson.decode, body)
  local metadata = read and type(report) == 'table' and report.metadata
  local found, known = {''}, {[''] = true}
  for _, name in ipairs(type(metadata) == 'table' and names_in(metadata) or {}) do
    name = #name <= LONGEST_LOOKED_AT and string.lower(string.match(name, '^%s*(.-)%s*$')) or ''
    if not known[name] and #name <= LONGEST_INDUSTRY and not string.find(name, '%c')
      and #found <= MOST_INDUSTRIES then
      found[#found + 1], known[name] = name, true
    end
  end
  return found
end

local function long_members(rules, header, id, industries)
  local order = has(header.flags, FLAG_PROTECTED)
    and 'P' .. sorted(header.confidence, header, id)
    or 'F' .. sorted(decay_order(rules, header), header, id)
  local members = {}
  for position, industry in ipairs(industries) do
    members[position] = industry .. '\0' .. order
  end
  return members
end

-- Industries of a threat of level 3, read from its report when they are first asked for.
local function industries_of(state)
  state.industries = state.industries
    or Index.industries(redis.call('GETRANGE', state.key, HEADER_BYTES, -1))
  return state.industries
end

-- All places of a threat, as numbers; false for none. `state` has header, id, key; for level 3 the age (when its
-- time to live began), for a latched one the score.
function Index.places(rules, state)
  local header, id = state.header, state.id
  local places = {promotable = has(header.flags, FLAG_LATCHED) and state.latch or false,
    board = false, exceptions = false, short = false, long = false, members = false, of = false}
  if header.level == LEVEL_WORKING then
    places.board, places.exceptions = board_place(header), exception_place(header)
  elseif header.level == LEVEL_SHORT then
    places.short = header.entered
    places.members, places.of = {sorted(header.confidence, header, id)}, 'short_rank'
  else
    places.long = has(header.flags, FLAG_PROTECTED) and math.huge or state.age or header.entered
    places.members = long_members(rules, header, id, industries_of(state))
    places.of = 'long_rank'
  end
  return places
end

-- What the indexes need to know of a threat beside its header.
function Index.load(keys, state, record_key)
  local header = state.header
  state.key = record_key
  if header.level < LEVEL_WORKING or header.level > LEVEL_LONG then
    refuse('DAMAGED', 'a record is in a level that this library does not know')
  end
  if has(header.flags, FLAG_LATCHED) then
    state.latch = redis.call('ZSCORE', keys.promotable, state.id)
  end
  if header.level == LEVEL_LONG then
    if not has(header.flags, FLAG_PROTECTED) then
      state.age = tonumber(redis.call('ZSCORE', keys.long, state.id) or header.entered)
    end
  end
end

-- Collected changes of indexes: for each key what to add and what to remove.
function Index.writes()
  return {adds = {}, removes = {}}
end

local function list_of(lists, key)
  local list = lists[key]
  if not list then
    list = {}
    lists[key] = list
  end
  return list
end

-- One place to add.
function Index.add(writes, key, place, member)
  local list = list_of(writes.adds, key)
  local size = #list
  list[size + 1], list[size + 2] = place, member
end

-- One member to remove.
function Index.remove(writes, key, member)
  local list = list_of(writes.removes, key)
  list[#list + 1] = member
end

local BY_ID = {'board', 'exceptions', 'promotable', 'short', 'long'}
local NOWHERE = {}

-- A place as the server takes it: a latch's score comes as text already.
local function as_text(place)
  if place == math.huge then
    return 'inf'
  end
  return type(place) == 'number' and integer(place) or place
end

local function change_members(writes, before, after)
  local same = before.members and after.members and before.of == after.of
    and table.concat(before.members) == table.concat(after.members)
  if not same then
    for _, member in ipairs(before.members or NOWHERE) do
      Index.remove(writes, before.of, member)
    end
    for _, member in ipairs(after.members or NOWHERE) do
      Index.add(writes, after.of, '0', member)
    end
  end
end

-- Collect what turns the places `before` (nil for none) into those `after` (nil for none).
function Index.change(writes, id, before, after)
  before, after = before or NOWHERE, after or NOWHERE
  for _, key in ipairs(BY_ID) do
    if after[key] and after[key] ~= before[key] then
      Index.add(writes, key, as_text(after[key]), id)
    elseif before[key] and not after[key] then
      Index.remove(writes, key, id)
    end
  end
  if before.members or after.members then
    change_members(writes, before, after)
  end
end

local function run(command, key, values)
  for first = 1, #values, VALUES_OF_A_CALL do
    redis.call(command, key, unpack(values, first, math.min(#values, first + VALUES_OF_A_CALL - 1)))
  end
end

-- Write what was collected; removals first, since a rank's member may be both.
function Index.flush(keys, writes)
  for name, members in pairs(writes.removes) do
    run('ZREM', keys[name], members)
  end
  for name, places in pairs(writes.adds) do
    run('ZADD', keys[name], places)
  end
end
end
do
-- The moves of DESIGN 2 on a header: up (promote), back to work (recall), home (settle), out (expiry).
-- Nothing here reads or writes the store.

-- Outcomes: 1 and 2 true positive, 3 benign, 4 and 5 false positive, 6 duplicate, 7 inconclusive.
function Moves.is_true_positive(outcome)
  return outcome == 1 or outcome == 2
end

-- An outcome of false positive or benign withdraws the validation, for as long as it stands.
function Moves.is_withdrawn(header)
  return header.outcome >= 3 and header.outcome <= 5
end

function Moves.is_validated(header, rules)
  return header.escalations >= rules.validated_escalations and not Moves.is_withdrawn(header)
end

local function is_protected(header, rules)
  return not Moves.is_withdrawn(header) and (Moves.is_validated(header, rules)
    or header.consolidations >= rules.protected_consolidations)
end

-- Level 1 to 2: is the threat eligible at `now`, the moment of an interaction?
function Moves.is_eligible(header, rules, now)
  return Score.of(rules, header, now) >= rules.promote_score
    and header.analysts >= rules.promote_analysts
    and (header.escalations >= rules.promote_escalations or header.severity >= 2)
end

local function rises(header, rules)
  return header.confidence >= rules.long_confidence
    and header.consolidations >= rules.long_consolidations and Moves.is_validated(header, rules)
end

-- Put a threat into level 2 or 3, at `now`.
local function enter(state, level, rules, now)
  local header = state.header
  header.level, header.home, header.entered = level, 0, now
  state.age, state.latch = nil, nil
  mark(header, FLAG_LATCHED, false)
  mark(header, FLAG_ESCALATED, false)
  mark(header, FLAG_PROTECTED, level == LEVEL_LONG and is_protected(header, rules))
end

-- Promote from level 1 with this score: to level 2, or to 3 where that is home or the rule holds.
-- Returns whether it counts as a consolidation (the first promotion does not).
function Moves.promote(state, rules, score, now)
  local header = state.header
  local again = header.consolidations > 0
  if not again or now - header.consolidated >= rules.consolidation_interval then
    header.consolidations, header.consolidated = math.min(65535, header.consolidations + 1), now
  end
  header.confidence = math.max(header.confidence, score)
  local level = math.max(header.home, LEVEL_SHORT)
  enter(state, rises(header, rules) and LEVEL_LONG or level, rules, now)
  return again
end

-- Back to work. Status is of level 1: it begins anew, but what was judged false stays set aside
-- until it is raised (`opens` forces it open).
function Moves.recall(state, now, opens)
  local header = state.header
  header.home, header.level, header.entered = header.level, LEVEL_WORKING, now
  state.age = nil
  mark(header, FLAG_ESCALATED, false)
  mark(header, FLAG_PROTECTED, false)
  if opens or not Moves.is_withdrawn(header) then
    header.status, header.status_severity = OPEN, 0
  end
end

-- Home again: no promotion and no consolidation.
function Moves.settle(state, rules, now)
  enter(state, state.header.home, rules, now)
end

-- After an outcome was given or withdrawn in level 2 or 3.
function Moves.judge_again(state, rules, now)
  local header = state.header
  if header.level == LEVEL_SHORT and rises(header, rules) then
    enter(state, LEVEL_LONG, rules, now)
  elseif header.level == LEVEL_LONG then
    local was, is = has(header.flags, FLAG_PROTECTED), is_protected(header, rules)
    if was and not is then      -- decays from now on; its time to live began when it entered
      state.age, header.entered = header.entered, now
    elseif is then
      header.entered, state.age = state.age or header.entered, nil
    end
    mark(header, FLAG_PROTECTED, is)
  end
end

-- When the response to a threat is due.
function Moves.due(header, rules)
  return header.first_seen + rules.targets[header.severity]
end

-- When a level 1 threat expires; nil for never. Claims and latches are the caller's to see to.
local function end_of_work(header, rules)
  local quiet = header.last_activity + rules.working_ttl
  if header.status == SNOOZED then
    return nil
  elseif header.status ~= OPEN then
    return quiet
  elseif header.severity >= 2 then
    return (header.dismissals > 0 or header.outcome > 0) and quiet or nil
  elseif header.interactions == 0 then
    return math.max(quiet, Moves.due(header, rules))
  end
  return quiet
end

-- What time has done to a threat: 'expired', 'settled', or nil. `age` is of level 3: see Index.
function Moves.overtaken(header, rules, age, now)
  local ends
  if header.level == LEVEL_SHORT then
    ends = header.entered + rules.short_ttl
  elseif header.level == LEVEL_LONG then
    ends = not has(header.flags, FLAG_PROTECTED) and (age or header.entered) + rules.long_ttl or nil
  elseif has(header.flags, FLAG_LATCHED) then
    return nil
  elseif header.home ~= 0 then
    ends = math.max(header.last_activity, header.entered) + rules.settle_after
    return now >= ends and 'settled' or nil
  else
    ends = end_of_work(header, rules)
  end
  return ends and now >= ends and 'expired' or nil
end
end
do
-- The two streams of a partition: events (for whoever follows; the oldest go when there are too many)
-- and the audit trail (kept until it is in the archive). One entry a call, bounded in bytes.

local ENTRY_BYTES = 48       -- what an entry of a stream costs beside its payload, about
local MOST_TRIMMED = 16      -- events let go of in one call

-- Refuse analysts' acts when the audit trail is full: better than not to record them.
function Log.check_audit(meta, rules, bytes)
  local kept = tonumber(redis.call('HGET', meta, 'audit_bytes') or '0')
  if kept + bytes > rules.audit_limit then
    refuse('AUDIT_FULL', integer(kept) .. ' bytes wait for the archive')
  end
end

function Log.bytes(payload)
  return #payload + ENTRY_BYTES
end

function Log.audit(keys, payload)
  redis.call('XADD', keys.audit, '*', 'a', payload)
  redis.call('HINCRBY', keys.meta, 'audit_bytes', integer(Log.bytes(payload)))
end

-- Let go of the oldest events until the rest fits; remember up to where they are lost.
local function trim_events(keys, bytes, limit)
  for _ = 1, MOST_TRIMMED do
    if bytes <= limit then
      break
    end
    local oldest = redis.call('XRANGE', keys.events, '-', '+', 'COUNT', 1)[1]
    if not oldest then
      return 0
    end
    bytes = bytes - Log.bytes(oldest[2][2])
    redis.call('XTRIM', keys.events, 'MAXLEN', integer(redis.call('XLEN', keys.events) - 1))
    redis.call('HSET', keys.meta, 'events_lost', oldest[1])
  end
  return math.max(0, bytes)
end

-- Append the events of one call: {{kind, ...}, ...}; see events.py for their shapes.
function Log.events(keys, limit, now, events)
  if #events == 0 then
    return
  end
  local payload = cmsgpack.pack({now, events})
  redis.call('XADD', keys.events, '*', 'e', payload)
  local bytes = tonumber(redis.call('HINCRBY', keys.meta, 'event_bytes', integer(Log.bytes(payload))))
  if bytes > limit then
    redis.call('HSET', keys.meta, 'event_bytes', integer(trim_events(keys, bytes, limit)))
  end
end

-- periscope_trim: let go of the audit trail up to an entry that is in the archive.
-- Why: the trail is trimmed only after it was archived, in steps that delay nobody.
-- KEYS: meta, audit
-- ARGV: last_entry
-- Returns: how many entries are left up to `last_entry`: call again until it is 0
local function trim_audit(keys, args)
  partition_revision(keys[1])
  local entries = redis.call('XRANGE', keys[2], '-', args[1], 'COUNT', 500)
  local bytes = 0
  for _, entry in ipairs(entries) do
    bytes = bytes + Log.bytes(entry[2][2])
  end
  -- first write
  if #entries > 0 then
    redis.call('XTRIM', keys[2], 'MAXLEN', integer(redis.call('XLEN', keys[2]) - #entries))
    local left = redis.call('HINCRBY', keys[1], 'audit_bytes', integer(-bytes))
    if left < 0 then
      redis.call('HSET', keys[1], 'audit_bytes', '0')
    end
  end
  return #redis.call('XRANGE', keys[2], '-', args[1], 'COUNT', 1)
end

-- periscope_events: events after an entry, and up to where the oldest ones are lost.
-- Why: whoever follows must be told of a gap; reading and asking in two calls could miss one.
-- KEYS: meta, events
-- ARGV: after, count
-- Returns: {lost, {{entry, {'e', payload}}, ...}}: lost is the last entry that was let go of, or ''
local function events(keys, args)
  partition_revision(keys[1])
  return {redis.call('HGET', keys[1], 'events_lost') or '',
    redis.call('XRANGE', keys[2], '(' .. args[1], '+', 'COUNT', args[2])}
end

redis.register_function{function_name = 'periscope_events', callback = events, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_trim', callback = trim_audit, flags = {'allow-oom'}}
end
do
-- What a partition remembers: ids of interactions and requests with their replies (two generations,
-- so that forgetting is one RENAME), and stubs of departed threats.

local CARDS = {ledger = 'HLEN', board = 'ZCARD', exceptions = 'ZCARD', promotable = 'ZCARD',
  claims = 'ZCARD', short = 'ZCARD', short_rank = 'ZCARD', long = 'ZCARD', long_rank = 'ZCARD',
  sources = 'HLEN', stubs = 'HLEN', stub_ages = 'ZCARD', removed = 'HLEN', departures = 'HLEN',
  events = 'XLEN', audit = 'XLEN', done = 'HLEN', done_before = 'HLEN'}

local MOST_ANALYSTS = 1000   -- of a threat, that are remembered when it departs
local NUMBERS = {'event_bytes', 'audit_bytes', 'token', 'forgotten', 'remembered_since'}

-- Is every key of the type we gave it (the server's own error says which it is not), and are the numbers
-- of the meta key numbers?
function Memory.check_types(keys)
  for name, command in pairs(CARDS) do
    redis.call(command, keys[name])
  end
  for _, number in ipairs(redis.call('HMGET', keys.meta, unpack(NUMBERS))) do
    if number and not (string.match(number, '^%d+$') and tonumber(number) < SAFE_INTEGER) then
      refuse('DAMAGED', 'a number of the meta key is none')
    end
  end
end

-- May this user do what the functions that write do, beside what they check by themselves?
function Memory.may_write(keys)
  return redis.acl_check_cmd('ZREM', keys.board, '') and redis.acl_check_cmd('HDEL', keys.stubs, '')
    and redis.acl_check_cmd('XADD', keys.events, '*', '', '')
    and redis.acl_check_cmd('XTRIM', keys.events, 'MAXLEN', '1')
end

-- Is it time for the next generation? Half the limit, or the whole time: ids are known for one to two
-- periods. Returns the new beginning, or nil.
local function next_generation(keys, rules, now)
  local since = tonumber(redis.call('HGET', keys.meta, 'remembered_since') or '')
  if not since then
    return now
  end
  local full = redis.call('HLEN', keys.done) >= math.max(1, rules.remember_limit / 2)
  if now - since >= rules.remember_for or full then
    return now
  end
end

-- Remember `memos`, {field, packed, ...}; ids forgotten before their time are counted.
function Memory.keep(keys, rules, now, memos)
  if #memos == 0 then
    return
  end
  local since = next_generation(keys, rules, now)
  if since then
    local before = tonumber(redis.call('HGET', keys.meta, 'remembered_since') or since)
    local lost = redis.call('HLEN', keys.done_before)
    if lost > 0 and since - before < rules.remember_for then
      redis.call('HINCRBY', keys.meta, 'forgotten', integer(lost))
    end
    redis.call('UNLINK', keys.done_before)
    if redis.call('EXISTS', keys.done) == 1 then
      redis.call('RENAME', keys.done, keys.done_before)
    end
    redis.call('HSET', keys.meta, 'remembered_since', integer(since))
  end
  for first = 1, #memos, 1000 do
    redis.call('HSET', keys.done, unpack(memos, first, math.min(#memos, first + 999)))
  end
end

-- What is remembered under `field`, unpacked; nil if nothing is. `only_done`: there is no older one.
function Memory.find(keys, field, only_done)
  local packed = redis.call('HGET', keys.done, field)
    or (not only_done and redis.call('HGET', keys.done_before, field))
  return packed and cmsgpack.unpack(packed)
end

-- What analysts did to a threat, as {name, field, ...}. A crowd of more than a thousand is not carried
-- along: the count stands in the header, and what they did in the audit trail.
function Memory.analysts(key)
  return redis.call('HLEN', key) <= MOST_ANALYSTS and redis.call('HGETALL', key) or {}
end

-- A stub: header, last words, analysts as {name, field, ...}.
function Memory.pack_stub(header, words, analysts)
  return cmsgpack.pack({header, words, analysts})
end

-- The stub of a departed threat as a table; nil if there is none; false if it is too old to count.
function Memory.stub(keys, rules, id, now)
  local packed = redis.call('HGET', keys.stubs, id)
  if not packed then
    return nil
  elseif now - tonumber(redis.call('ZSCORE', keys.stub_ages, id) or '0') >= rules.stub_ttl then
    return false
  end
  local parts = cmsgpack.unpack(packed)
  return {header = parts[1], words = parts[2], analysts = parts[3]}
end

-- Is nobody remembered at all, as departed or removed?
function Memory.is_empty(keys)
  return redis.call('HLEN', keys.stubs) + redis.call('HLEN', keys.removed) == 0
end

-- Nobody of a chunk was ever here: neither a stub nor a removed id? (Where there are none at all, no
-- question is asked, and no id made.)
function Memory.are_strangers(keys, chunk, all_ids)
  local ids
  for _, key in ipairs({keys.stubs, keys.removed}) do
    if redis.call('HLEN', key) > 0 then
      ids = ids or all_ids(chunk)
      for _, found in ipairs(redis.call('HMGET', key, unpack(ids))) do
        if found then
          return false
        end
      end
    end
  end
  return true
end

-- Forget stubs that are too old or too many, oldest first, at most `most` of them; return how many.
function Memory.forget_stubs(keys, rules, now, most)
  local over = math.max(0, redis.call('ZCARD', keys.stub_ages) - rules.stub_limit)
  local old = redis.call('ZCOUNT', keys.stub_ages, '-inf', integer(now - rules.stub_ttl))
  local count = math.min(most, math.max(over, old))
  if count > 0 then
    local ids = redis.call('ZRANGE', keys.stub_ages, 0, count - 1)
    redis.call('ZREM', keys.stub_ages, unpack(ids))
    redis.call('HDEL', keys.stubs, unpack(ids))
  end
  return count
end
end
do
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

-- Are all reports of threats that nobody has heard of, each of another one?
function Chunk.all_new(chunk)
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
  local record = redis.call('GETRANGE', key, 0, HEADER_BYTES - 1)
  if record == '' then
    return first_word(chunk, position)
  elseif Sighting.is_repetition(record, packed) then
    return nil, DUPLICATE
  end
  local renewed, place, exception = Sighting.renew(record, packed, chunk.now)
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
-- `exceptions`); a table of what is known where it takes more; none for mere repetitions.
function Chunk.decide(chunk)
  local states, codes = {}, {}
  chunk.places, chunk.exceptions = {}, {}
  chunk.forgotten = {}
  chunk.no_memory = Memory.is_empty(chunk.keys)
  for position = 1, chunk.size do
    local key = chunk.names[chunk.name_at + position]
    local state, code = states[key], nil
    if state then
      state = look_again(chunk, position, state)
    else
      state, code = look(chunk, position)
    end
    states[key] = state
    codes[position] = code
      or (Sighting.apply(state, chunk.args[chunk.arg_at + position], chunk.now) and SIGHTING or DUPLICATE)
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
      record = state
      Index.add(writes.indexes, 'board', chunk.places[key], id_of(chunk, position))
      if chunk.exceptions[key] then
        Index.add(writes.indexes, 'exceptions', chunk.exceptions[key], id_of(chunk, position))
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
function Chunk.of(keys, name_at, names, args, rules, now)
  local prefix = record_prefix(keys.meta)
  return {keys = keys, rules = rules, now = now, names = names, name_at = name_at, args = args,
    arg_at = 3, size = #names - name_at, head = arrival(now), prefix = prefix,
    prefix_length = #prefix}
end
end
do
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
  if chunk.size > 0 and Chunk.all_new(chunk) then
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
  local writes, counts, runs = take_in(chunk)
  return function()
    write(keys, writes)
    count(keys.ledger, counts, rejected)
    Log.events(keys, chunk.rules.events_limit, chunk.now, writes.events)
    bring_forward(keys.meta, here, chunk.rules)
    redis.call('SET', keys.reply, integer(chunk.now) .. ' ' .. runs, 'PX', REPLY_KEPT_MS)
    return {chunk.now, runs}
  end
end

-- periscope_ingest_2: take in one chunk of reports, all of one partition, in the order given.
-- Why: records, indexes, ledger and events change together or not at all, and a chunk counts once.
-- KEYS: singles..., reply, before, record...
-- ARGV: policy, now_ms, rejected, report...
-- Returns: {now_ms, runs}; runs is a code for each report, run-length encoded: a added, s sighting,
--   d duplicate, x suppressed ('498a2d'). The same chunk again (same reply key) answers the first
--   reply. `before` is the reply key of a chunk that must have been stored, or `reply` again.
local function ingest(all_keys, args)
  local keys = partition_keys(all_keys)
  keys.reply, keys.before = all_keys[keys.first], all_keys[keys.first + 1]
  local earlier = remembered(keys)
  if earlier then
    return earlier
  end
  if #args - 3 ~= #all_keys - keys.first - 1 or not string.match(args[3], '^%d+$') then
    refuse('BAD_CALL', 'the arguments do not fit the keys')
  end
  local chunk = Chunk.of(keys, keys.first + 1, all_keys, args, Score.policy(args[1]),
    clock(args[2]))
  local commit = store(chunk, tonumber(args[3]))
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
  local chunk = Chunk.of(keys, 6, all_keys, args, rules, clock(args[2]))
  local commit = store(chunk, tonumber(args[3]))
  -- first write
  local reply = commit()
  return {reply[1], (string.gsub(reply[2], SUPPRESSED, DUPLICATE))}
end

redis.register_function('periscope_ingest', ingest_as_before)
redis.register_function('periscope_ingest_2', ingest)
end
do
-- Stretches of the board: the part of a bucket that a query asks for, read a few members at a time,
-- and the heap that merges stretches into one ranking.

-- The stretch of `bucket` that the query asks for: moments low to high, and below `id` at high.
-- `after` is where the last page ended: {score, moment, id}.
function Stretch.of(rules, bucket, query, now)
  local part = {low = 0, high = SPAN - 1}
  if query.highest then
    part.high = Score.last_moment(rules, bucket, query.highest, false, now)
  end
  if query.lowest then
    part.low = Score.last_moment(rules, bucket, query.lowest, true, now) + 1
  end
  local after = query.after
  if after then
    local equal = Score.last_moment(rules, bucket, after.score, false, now)
    local below = equal
    if equal >= 0 and Score.at(rules, bucket, equal, now) == after.score then
      below = Score.last_moment(rules, bucket, after.score, true, now)
    end
    local high = equal
    if after.moment <= below then
      high = below
    elseif after.moment <= equal then
      high = after.moment
      part.id = high <= part.high and after.id or nil
    end
    part.high = math.min(part.high, high)
  end
  return part
end

-- Rank from the top of the first member at `place` whose id sorts before `id`.
local function rank_below(board, place, id)
  local above = redis.call('ZCOUNT', board, '(' .. place, '+inf')
  local low, high = above, above + redis.call('ZCOUNT', board, place, place)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if bytes_before(redis.call('ZRANGE', board, middle, middle, 'REV')[1], id) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local FIRST_FETCH = 8        -- members of a bucket read at first; each further reading is four times as long
local MOST_FETCH = 512

-- Leave out what scores below `floor`: ranks know nothing of it.
local function trim(found, floor)
  while #found > 0 and tonumber(found[#found]) < floor do
    found[#found] = nil
    found[#found] = nil
  end
  return found
end

-- The first members of the stretch, as {id, place, id, place ...}.
local function fetch(board, base, part, count)
  local floor, ceiling = base + part.low, integer(base + part.high)
  if not part.id then
    return redis.call('ZRANGE', board, ceiling, integer(floor),
      'BYSCORE', 'REV', 'LIMIT', 0, count, 'WITHSCORES')
  end
  local start = rank_below(board, ceiling, part.id)
  return trim(redis.call('ZRANGE', board, start, start + count - 1, 'REV', 'WITHSCORES'), floor)
end

-- Step to the next member of the stretch; false at its end.
function Stretch.advance(board, rules, part, now)
  part.at = part.at + 2
  if not part.found[part.at] then
    if #part.found < 2 * part.size then
      return false
    end
    local start = redis.call('ZREVRANK', board, part.member) + 1
    part.size, part.at = math.min(4 * part.size, MOST_FETCH), 1
    part.found = trim(redis.call('ZRANGE', board, start, start + part.size - 1, 'REV', 'WITHSCORES'),
      part.base + part.low)
    if not part.found[1] then
      return false
    end
  end
  part.member = part.found[part.at]
  part.moment = tonumber(part.found[part.at + 1]) - part.base
  part.score = Score.at(rules, part.bucket, part.moment, now)
  return true
end

-- Step to the first member of the stretch; false if it is empty. `head` is the first of its bucket: a
-- stretch that begins there needs no reading, unless it gets to supply more than that.
function Stretch.open(board, rules, part, head, now)
  part.at = -1
  if part.high == SPAN - 1 and tonumber(head[2]) >= part.base + part.low then
    part.found, part.size = head, 1
  else
    part.found, part.size = fetch(board, part.base, part, FIRST_FETCH), FIRST_FETCH
  end
  return part.found[1] and Stretch.advance(board, rules, part, now)
end

-- Does the head of `a` rank before that of `b`? Score, then last activity, then id bytes, all falling.
local function heads_before(a, b)
  if a.score ~= b.score then
    return a.score > b.score
  end
  if a.moment ~= b.moment then
    return a.moment > b.moment
  end
  return bytes_before(b.member, a.member)
end

-- The heap of opened stretches: the one whose head ranks first is heap[1].
function Stretch.push(heap, part)
  local at = #heap + 1
  while at > 1 do
    local parent = math.floor(at / 2)
    if not heads_before(part, heap[parent]) then
      break
    end
    heap[at], at = heap[parent], parent
  end
  heap[at] = part
end

function Stretch.settle(heap, part)
  local at, size = 1, #heap
  while 2 * at <= size do
    local child = 2 * at
    if child < size and heads_before(heap[child + 1], heap[child]) then
      child = child + 1
    end
    if not heads_before(heap[child], part) then
      break
    end
    heap[at], at = heap[child], child
  end
  heap[at] = part
end
end
do
-- The ranking: a walk over the buckets of the board in falling order of their static part. Within
-- a bucket the score falls with last_activity only, so the board's own order is the ranking's.

-- Buckets of the query that hold anything, in falling order of their static part; and the first
-- member of each, as {id, place}.
local function filled_buckets(board, rules, status, severity, interactions)
  local first, last = 0, BUCKETS - 1
  if severity >= 0 then
    first, last = severity * BUCKETS_OF_SEVERITY, (severity + 1) * BUCKETS_OF_SEVERITY - 1
  end
  local base, found, heads = status * BUCKETS, {}, {}
  local floor, ceiling = integer((base + first) * SPAN), (base + last + 1) * SPAN
  while true do
    local head = redis.call('ZRANGE', board, '(' .. integer(ceiling), floor,
      'BYSCORE', 'REV', 'LIMIT', 0, 1, 'WITHSCORES')
    if not head[1] then
      break
    end
    local bucket = math.floor(tonumber(head[2]) / SPAN)
    if (bucket - base) % 11 >= interactions then
      found[#found + 1], heads[bucket - base] = bucket - base, head
    end
    ceiling = bucket * SPAN
  end
  table.sort(found, function(a, b) return rules.static[a] > rules.static[b] end)
  return found, heads
end

-- Open the buckets that may hold something as good as the best head: a bucket's best possible score
-- is its static part and a fresh last activity (equal is opened: a tie may rank before).
local function open_next(board, rules, query, heap, opened, now)
  while true do
    local bucket = query.buckets[opened + 1]
    if not bucket or (heap[1] and rules.static[bucket] + rules.recency < heap[1].score) then
      return opened
    end
    opened = opened + 1
    local part = Stretch.of(rules, bucket, query, now)
    if part.low <= part.high then
      part.bucket, part.base = bucket, (query.status * BUCKETS + bucket) * SPAN
      if Stretch.open(board, rules, part, query.heads[bucket], now) then
        Stretch.push(heap, part)
      end
    end
  end
end

local function is_claimed(claims, id, now)
  local ends = redis.call('ZSCORE', claims, id)
  return ends and tonumber(ends) > now
end

-- The first `count` of the query: a merge of the buckets' stretches, each read as far as needed. With
-- `claims` what somebody holds is passed over, `most` of them at the most.
local function best(board, rules, query, now)
  local ranked, heap, opened, passed = {}, {}, 0, 0
  while #ranked < query.count and passed < (query.most or 1) do
    opened = open_next(board, rules, query, heap, opened, now)
    local head = heap[1]
    if not head then
      break
    end
    if query.claims and is_claimed(query.claims, head.member, now) then
      passed = passed + 1
      query.passed = {place = head.base + head.moment, id = head.member}
    else
      ranked[#ranked + 1] = {id = head.member, place = head.base + head.moment, score = head.score}
    end
    if not Stretch.advance(board, rules, head, now) then
      head = table.remove(heap)
    end
    if #heap > 0 then
      Stretch.settle(heap, head)
    end
  end
  return ranked, passed
end

-- How many match the query, wherever the walk has come to.
local function total(board, rules, query, now)
  if not query.highest and not query.lowest and query.interactions == 0 then
    local first, last = 0, BUCKETS - 1
    if query.severity >= 0 then
      first = query.severity * BUCKETS_OF_SEVERITY
      last = first + BUCKETS_OF_SEVERITY - 1
    end
    local base = query.status * BUCKETS
    return redis.call('ZCOUNT', board, integer((base + first) * SPAN),
      '(' .. integer((base + last + 1) * SPAN))
  end
  local whole, sum = {highest = query.highest, lowest = query.lowest}, 0
  for _, bucket in ipairs(query.buckets) do
    local base, part = (query.status * BUCKETS + bucket) * SPAN, Stretch.of(rules, bucket, whole, now)
    if part.low <= part.high then
      sum = sum + redis.call('ZCOUNT', board, integer(base + part.low), integer(base + part.high))
    end
  end
  return sum
end

-- Records of the first entries, as many as fit into a reply.
function Rank.records_of(prefix, ranked, count)
  local records, bytes = {}, 0
  for position = 1, math.min(count, #ranked) do
    local record = redis.call('GET', prefix .. ranked[position].id)
    if not record then
      refuse('DAMAGED', 'an index names a threat that has no record')
    end
    records[position], bytes = record, bytes + #record
    if bytes > REPLY_BYTES then
      break
    end
  end
  return records
end

-- The place where the last page ended. Its score is computed here and not brought along: another
-- machine's exp() may round differently, and then the page would not start where the last one ended.
local function read_place(rules, place, now)
  local bucket, moment = math.floor(place / SPAN) % BUCKETS, place % SPAN
  return {moment = moment, score = Score.at(rules, bucket, moment, now)}
end

local function read_query(args, rules, board, now)
  local query = {status = tonumber(args[3]), count = tonumber(args[7]), severity = tonumber(args[4]),
    lowest = tonumber(args[5]), highest = tonumber(args[6]), interactions = tonumber(args[11] or '0')}
  if args[9] ~= '' then
    query.after = read_place(rules, tonumber(args[9]), now)
    query.after.id = args[10]
  end
  query.buckets, query.heads = filled_buckets(board, rules, query.status, query.severity,
    query.interactions)
  return query
end

-- periscope_rank: a stretch of the live ranking, from the top or from where a page ended.
-- Why: scores fall every millisecond, yet nothing is ever re-scored: the order is computed here.
-- KEYS: meta, board
-- ARGV: policy, now_ms, status, severity, lowest, highest, count, records, after_place, after_id,
--   interactions
-- Returns: {now_ms, total, {id, place, score, ...}, {record, ...}}: ids in rank order with their board
--   scores and their scores as text, and the records of the first, at most `records` and 1 MiB
local function rank(keys, args)
  local rules = Score.policy(args[1])
  same_policy(keys[1], rules.revision)
  local now = clock(args[2])
  local query = read_query(args, rules, keys[2], now)
  local ranked, places = best(keys[2], rules, query, now), {}
  for position, entry in ipairs(ranked) do
    places[3 * position - 2], places[3 * position - 1] = entry.id, entry.place
    places[3 * position] = string.format('%.17g', entry.score)
  end
  return {now, total(keys[2], rules, query, now), places,
    Rank.records_of(record_prefix(keys[1]), ranked, tonumber(args[8]))}
end

-- periscope_next: the highest ranked open threats that nobody holds.
-- Why: analysts pull from one queue; what one has, no other is offered.
-- KEYS: meta, board, claims
-- ARGV: policy, now_ms, severity, count, after_place, after_id
-- Returns: {now_ms, {id, score, last_activity_ms, ...}, place, id}: the walk passes over 1,000 claimed ones at the most;
--   where it ended so, with nothing found, it goes on after that place ('' else)
local function next_unclaimed(keys, args)
  local rules = Score.policy(args[1])
  same_policy(keys[1], rules.revision)
  local now = clock(args[2])
  local query = {status = OPEN, count = tonumber(args[4]), severity = tonumber(args[3]),
    interactions = 0, claims = keys[3], most = 1000}
  if args[5] ~= '' then
    query.after = read_place(rules, tonumber(args[5]), now)
    query.after.id = args[6]
  end
  query.buckets, query.heads = filled_buckets(keys[2], rules, OPEN, query.severity, 0)
  local ranked, passed = best(keys[2], rules, query, now)
  local found = {}
  for position, entry in ipairs(ranked) do
    found[3 * position - 2], found[3 * position - 1] = entry.id, string.format('%.17g', entry.score)
    found[3 * position] = integer(entry.place % SPAN)
  end
  local goes_on = #ranked == 0 and passed == query.most and query.passed or {id = ''}
  return {now, found, goes_on.place and integer(goes_on.place) or '', goes_on.id}
end

redis.register_function{function_name = 'periscope_next', callback = next_unclaimed,
  flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_rank', callback = rank, flags = {'no-writes'}}
end
do
-- Lists beside the queue: levels 2 and 3 by rank, and what is overdue.

-- The members of a rank below `after` ('' for all), highest first. Members are read by their bytes.
local function members(key, prefix, after, count)
  local ceiling = after == '' and '(' .. prefix .. '\255' or '(' .. prefix .. after
  if prefix == '' and after == '' then
    ceiling = '+'
  end
  return redis.call('ZRANGE', key, ceiling, '[' .. prefix, 'BYLEX', 'REV', 'LIMIT', 0, count)
end

-- Entries {place, id, value, moment, from} of one class; `place` is the member without its prefix.
local function entries(key, prefix, after, count, value_of)
  local found = {}
  for _, member in ipairs(members(key, prefix, after, count)) do
    local place = string.sub(member, #prefix + 1)
    local number, moment = struct.unpack('>dI6', place)
    local id = string.sub(place, 15)
    found[#found + 1] = {place = place, id = id, value = value_of(number, id), moment = moment}
  end
  return found
end

-- Does what is protected rank before what decays? On the floor always: there the latter are in the order
-- of their decay, and not of their last activity.
local function ranks_before(a, b, floor)
  if a.value ~= b.value or a.value == floor then
    return a.value >= b.value
  elseif a.moment ~= b.moment then
    return a.moment > b.moment
  end
  return bytes_before(b.id, a.id)
end

-- Merge what is protected with what decays, each in rank order.
local function merged(left, right, count, floor)
  local both, l, r = {}, 1, 1
  while #both < count and (left[l] or right[r]) do
    if not right[r] or (left[l] and ranks_before(left[l], right[r], floor)) then
      both[#both + 1], l = left[l], l + 1
    else
      both[#both + 1], r = right[r], r + 1
    end
  end
  return both
end

local function count_in(key, prefix)
  if prefix == '' then
    return redis.call('ZCARD', key)
  end
  return redis.call('ZLEXCOUNT', key, '[' .. prefix, '(' .. prefix .. '\255')
end

-- What is left of the confidence of a decaying threat, from its header: the sort key rounds.
local function decayed_of(meta, rules, now)
  local prefix = record_prefix(meta)
  return function(_, id)
    local record = redis.call('GETRANGE', prefix .. id, 0, HEADER_BYTES - 1)
    if record == '' then
      refuse('DAMAGED', 'an index names a threat that has no record')
    end
    return Index.decayed(rules, unpack_header(record), now)
  end
end

local function confidence(number)
  return number
end

-- Level 2 as one list, level 3 as what is protected merged with what decays.
local function ranked(keys, args, rules, now)
  local count = tonumber(args[5])
  if args[3] == '2' then
    return entries(keys[2], '', args[7], count, confidence), count_in(keys[2], '')
  end
  local industry = args[4] .. '\0'
  local kept = entries(keys[2], industry .. 'P', args[7], count, confidence)
  local fading = entries(keys[2], industry .. 'F', args[8], count, decayed_of(keys[1], rules, now))
  for _, entry in ipairs(fading) do
    entry.fades = true
  end
  return merged(kept, fading, count, rules.decay_floor), count_in(keys[2], industry)
end

-- periscope_levels: a stretch of level 2 or 3 in rank order: confidence now, last activity, id, falling.
-- Why: validated knowledge is looked up by worth; decay is computed when read.
-- KEYS: meta, rank
-- ARGV: policy, now_ms, level, industry, count, records, after, after_fading
-- Returns: {now_ms, total, {place, fades, value, id, ...}, {record, ...}}: value as text, fades 1 for what
--   decays; `after` and `after_fading` are the places where the page before ended, '' for the top
local function levels(keys, args)
  local rules = Score.policy(args[1])
  same_policy(keys[1], rules.revision)
  local now = clock(args[2])
  local found, total = ranked(keys, args, rules, now)
  local flat = {}
  for _, entry in ipairs(found) do
    flat[#flat + 1], flat[#flat + 2] = entry.place, entry.fades and 1 or 0
    flat[#flat + 1], flat[#flat + 2] = string.format('%.17g', entry.value), entry.id
  end
  return {now, total, flat, Rank.records_of(record_prefix(keys[1]), found, tonumber(args[6]))}
end

redis.register_function{function_name = 'periscope_levels', callback = levels, flags = {'no-writes'}}
end
do
-- Overdue threats: open, unseen, past their response target since they were first seen. Those without
-- sightings are the old end of the board's unseen buckets; the others stand among the exceptions by
-- the moment they were first seen. The one that is longest overdue comes first.

local COUNTED = 1000         -- exceptions looked at by one call of the count
local EXAMINED = 512         -- members of a list passed over by one call, about
local READ = 64              -- members of a list read at once

-- The two sorted lists of a severity: key, base of the scores, and the last moment that is overdue.
local function lists(keys, rules, severity, now)
  local last = now - rules.targets[severity] - 1
  return {
    {key = keys[2], base = severity * BUCKETS_OF_SEVERITY * SPAN, last = last, severity = severity},
    {key = keys[3], base = severity * SPAN, last = last, severity = severity, sighted = true},
  }
end

-- First rank at `place` of a member whose id sorts after `id`.
local function rank_above(key, place, id)
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. place)
  local high = low + redis.call('ZCOUNT', key, place, place)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if bytes_before(id, redis.call('ZRANGE', key, middle, middle)[1]) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

-- Rank at which the list goes on after (due, id); 0 due: at its start.
local function start_of(rules, list, due, id)
  if due == 0 then
    return redis.call('ZCOUNT', list.key, '-inf', '(' .. integer(list.base))
  end
  local moment = math.max(0, due - rules.targets[list.severity])
  return rank_above(list.key, integer(list.base + moment), id)
end

-- Take the overdue ones of `members` into `found`; false at the end of the list.
local function take(keys, rules, list, members, found)
  for position = 1, #members, 2 do
    local moment = tonumber(members[position + 1]) - list.base
    if moment > list.last or moment < 0 then
      return false
    end
    if list.sighted or not redis.call('ZSCORE', keys[3], members[position]) then
      found[#found + 1] = {due = moment + rules.targets[list.severity], id = members[position]}
    end
    found.reached = moment + rules.targets[list.severity]
  end
  return true
end

-- Read on, until there is an entry, the list ends, or too many had to be passed over: then `cut` is the
-- due time up to which it was read.
local function refill(keys, rules, part)
  part.found, part.at = {}, 1
  while not part.done and not part.found[1] do
    local members = redis.call('ZRANGE', part.list.key, part.start, part.start + READ - 1,
      'WITHSCORES')
    part.done = not take(keys, rules, part.list, members, part.found) or #members < 2 * READ
    part.start, part.examined = part.start + READ, part.examined + READ
    part.began = part.began or part.found.reached
    if not part.done and not part.found[1] and part.examined >= EXAMINED
      and part.found.reached > part.began then
      part.done, part.cut = true, part.found.reached
    end
  end
end

local function due_before(a, b)
  return a.due < b.due or (a.due == b.due and bytes_before(a.id, b.id))
end

local function open_lists(keys, rules, now, args)
  local wanted, parts = tonumber(args[3]), {}
  for severity = 0, 3 do
    if wanted < 0 or wanted == severity then
      for _, list in ipairs(lists(keys, rules, severity, now)) do
        local start = math.max(start_of(rules, list, tonumber(args[6]), args[7]),
          redis.call('ZCOUNT', list.key, '-inf', '(' .. integer(list.base)))
        local part = {list = list, start = start, examined = 0}
        refill(keys, rules, part)
        parts[#parts + 1] = part
      end
    end
  end
  return parts
end

-- All lists of the wanted severities, merged; and the due time from which on nothing is known, if any.
local function merged(keys, rules, now, args)
  local parts, count, found = open_lists(keys, rules, now, args), tonumber(args[4]), {}
  while #found < count do
    local best, cut
    for _, part in ipairs(parts) do
      local head = part.found[part.at]
      if head and (not best or due_before(head, best.found[best.at])) then
        best = part
      elseif not head and part.cut then
        cut = math.min(cut or part.cut, part.cut)
      end
    end
    if not best or (cut and best.found[best.at].due >= cut) then
      return found, cut
    end
    found[#found + 1], best.at = best.found[best.at], best.at + 1
    if not best.found[best.at] then
      refill(keys, rules, best)
    end
  end
  return found, nil
end

-- periscope_overdue: threats past their response target, the longest overdue first, then by id.
-- Why: what nobody has looked at in time must be seen by somebody.
-- KEYS: meta, board, exceptions
-- ARGV: policy, now_ms, severity, count, records, after_due, after_id
-- Returns: {now_ms, {due_ms, id, ...}, {record, ...}, cut_ms}; severity -1 for any, after_due 0 for the
--   top; with cut_ms (else 0) the list may go on from there, though fewer than `count` were found
local function overdue(keys, args)
  local rules = Score.policy(args[1])
  same_policy(keys[1], rules.revision)
  local now = clock(args[2])
  local found, cut = merged(keys, rules, now, args)
  local first, flat = {}, {}
  for position = 1, math.min(#found, tonumber(args[4])) do
    if cut and found[position].due >= cut then
      break
    end
    first[position] = found[position]
    flat[2 * position - 1], flat[2 * position] = found[position].due, found[position].id
  end
  local records = Rank.records_of(record_prefix(keys[1]), first, tonumber(args[5]))
  return {now, flat, records, #first < tonumber(args[4]) and cut or 0}
end

-- How many of these exceptions stand among the unsighted as well, by their last activity.
local function counted_twice(unsighted, ids)
  local count = 0
  for _, id in ipairs(ids) do
    local place = tonumber(redis.call('ZSCORE', unsighted.key, id) or '-1') - unsighted.base
    if place >= 0 and place <= unsighted.last then
      count = count + 1
    end
  end
  return count
end

-- periscope_count_overdue: how many are overdue, a bounded step of the count.
-- Why: what has sightings, or was recalled, is counted one by one, because the board tells its last
--   activity only.
-- KEYS: meta, board, exceptions
-- ARGV: policy, now_ms, severity, offset
-- Returns: {now_ms, count, next_offset}: offset -1 when it is complete; start with 0
local function count_overdue(keys, args)
  local rules = Score.policy(args[1])
  same_policy(keys[1], rules.revision)
  local now, severity, offset = clock(args[2]), tonumber(args[3]), tonumber(args[4])
  local unsighted, sighted = unpack(lists(keys, rules, severity, now))
  local function range(command, ...)
    return redis.call(command, sighted.key, integer(sighted.base),
      integer(sighted.base + sighted.last), ...)
  end
  local total, late = 0, range('ZCOUNT')
  if offset == 0 then
    total = late + redis.call('ZCOUNT', unsighted.key, integer(unsighted.base),
      integer(unsighted.base + unsighted.last))
  end
  local ids
  if offset < late then
    ids = range('ZRANGE', 'BYSCORE', 'LIMIT', offset, math.min(COUNTED, late - offset))
  else                        -- the recalled ones, which are never overdue
    ids = redis.call('ZRANGE', sighted.key, integer(Index.RECALLED * SPAN),
      '(' .. integer((Index.RECALLED + 1) * SPAN), 'BYSCORE', 'LIMIT', offset - late, COUNTED)
  end
  total, offset = total - counted_twice(unsighted, ids), offset + #ids
  return {now, total, (offset <= late or #ids == COUNTED) and #ids > 0 and offset or -1}
end

redis.register_function{function_name = 'periscope_overdue', callback = overdue, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_count_overdue', callback = count_overdue,
  flags = {'no-writes'}}
end
do
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
  return tonumber(place) == board_place(header) and 'OK' or 'MISPLACED'
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

-- periscope_inspect: does every index show each of these records as its header says?
-- Why: the deep ledger recounts records one by one, and trusts neither side.
-- KEYS: singles..., record...
-- ARGV: policy
-- Returns: a word for each record: OK, GONE, NO_RECORD, NOT_ON_BOARD, NOT_IN_LEVEL, WRONG_LEVEL,
--   MISPLACED, TWO_LEVELS, STUB_LEFT
local function inspect(keys, args)
  local named, words = partition_keys(keys), {}
  partition_revision(named.meta)
  local rules, length = Score.policy(args[1]), #record_prefix(named.meta)
  for position = named.first, #keys do
    local id = string.sub(keys[position], length + 1)
    words[#words + 1] = full_verdict(named, rules, keys[position], id)
  end
  return words
end

redis.register_function{function_name = 'periscope_holdings', callback = holdings, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_inspect', callback = inspect, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_threats', callback = threats, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_stats', callback = stats, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_verify', callback = verify, flags = {'no-writes'}}
end
do
-- The desk: one call of analysts' acts on threats of one partition. Acts are decided one by one, in the
-- order given, in tables; everything that they change is written in one step at the end.

-- What analysts did to a threat stands in a hash: analyst -> {interactions, last verb, ms, request}.
-- The claim has the empty name, and DECIDED the revision at which the status was decided last.
local DECIDED = '\1'      -- no analyst's name: those have no control characters

-- A call on these keys under this policy, which must not be older than the partition's.
function Desk.open(keys, policy, now_ms)
  local rules, now = Score.policy(policy), clock(now_ms)
  return {here = writers_revision(keys.meta, rules.revision), keys = keys, rules = rules, now = now,
    states = {}, order = {}, memos = {}, known = {}, events = {}, audit = {}, allowed = {}, erased = {},
    only_done = redis.call('EXISTS', keys.done_before) == 0}
end

-- Everything that `write` relies on: types and rights. `own` is where the pairs begin among the keys.
function Desk.check(named, keys, own)
  Memory.check_types(named)
  if keys[own] and not (Memory.may_write(named) and redis.acl_check_cmd('SETRANGE', keys[own], '0', '')
    and redis.acl_check_cmd('HSET', keys[own + 1], '', '')
    and redis.acl_check_cmd('ZADD', named.board, '0', '')
    and redis.acl_check_cmd('HINCRBY', named.meta, '', '0')
    and redis.acl_check_cmd('UNLINK', named.done_before)
    and redis.acl_check_cmd('RENAME', named.done, named.done_before)
    and redis.acl_check_cmd('SET', named.meta, '', 'PX', '1')) then
    refuse('NOPERM', 'acts need the write commands that docs/how-to/own-server.md lists')
  end
end

-- The threat of this record as the desk sees it, with the acts of this call; nil if unknown. What the
-- analyst did to it, and who holds it, is read along.
function Desk.threat(desk, key, analysts_key, id, analyst)
  local state = desk.states[key]
  if state then
    return state
  end
  local record = redis.call('GETRANGE', key, 0, HEADER_BYTES - 1)
  if record == '' then
    return nil
  end
  state = {header = unpack_header(record), id = id, key = key, analysts_key = analysts_key,
    fields = {}, written = {}}
  if analyst then
    local found = redis.call('HMGET', analysts_key, analyst, '')
    state.fields[analyst], state.fields[''] = found[1], found[2]
  end
  Index.load(desk.keys, state, key)
  state.before = Index.places(desk.rules, state)
  desk.states[key] = state
  desk.order[#desk.order + 1] = state
  return state
end

-- The header is another one from now on.
function Desk.changed(state)
  state.changed = true
  state.header.revision = state.header.revision + 1
end

-- A field of the threat's analysts hash, as this call has left it; false if there is none.
function Desk.field(state, name)
  if state.fields[name] == nil then
    state.fields[name] = redis.call('HGET', state.analysts_key, name)
  end
  return state.fields[name]
end

-- Set a field, or (false) remove it.
function Desk.set_field(state, name, value)
  Desk.field(state, name)
  state.fields[name], state.written[name] = value, true
end

-- What this analyst did last to the threat: {interactions, verb, ms, request}; nil if nothing.
function Desk.last_act(state, analyst)
  local packed = Desk.field(state, analyst)
  return packed and cmsgpack.unpack(packed)
end

function Desk.note_act(desk, state, act, interactions)
  local last = Desk.last_act(state, act.analyst)
  local count = (last and last[1] or 0) + interactions
  Desk.set_field(state, act.analyst, cmsgpack.pack({count, act.verb, desk.now, act.request}))
  if interactions > 0 and count == interactions then
    state.header.analysts = math.min(65535, state.header.analysts + 1)
  end
end

-- From this revision on, the status is what this act made it.
function Desk.decide_status(state, status)
  local header = state.header
  if header.status ~= status then
    header.status, header.status_severity = status, status == OPEN and 0 or header.severity
  end
  Desk.set_field(state, DECIDED, integer(header.revision))
end

function Desk.status_revision(state)
  return tonumber(Desk.field(state, DECIDED) or '0')
end

-- Latch or unlatch the threat for promotion.
function Desk.latch(state, score)
  mark(state.header, FLAG_LATCHED, score ~= nil)
  state.latch = score and string.format('%.17g', score)
end

function Desk.tell(desk, kind, state, act, detail)
  local header = state.header
  desk.events[#desk.events + 1] = {kind, state.id, act and act.analyst or '', header.level,
    header.status, detail or ''}
end

-- What of a threat an undo needs, taken before the act.
local function snapshot(state, act)
  local header = state.header
  return {header.status, header.status_severity, header.outcome, header.last_activity,
    state.latch or '', Desk.field(state, act.analyst) or '', header.flags}
end

-- What the act asked for beside its verb: the same id for something else is a mistake to be told.
local function digest(act)
  return act.args[1] and redis.sha1hex(cmsgpack.pack(act.args)) or ''
end

-- Remember what an act did, and its reply.
function Desk.remember(desk, field, act, state, reply, before)
  reply.header = state and pack_header(state.header) or ''
  local memo = {act.verb, act.analyst, act.id, reply.code, reply.extra or '', desk.now, reply.header,
    before or '', digest(act)}
  desk.known[field] = memo
  desk.memos[#desk.memos + 1], desk.memos[#desk.memos + 2] = field, cmsgpack.pack(memo)
end

function Desk.remembered(desk, field)
  return desk.known[field] or Memory.find(desk.keys, field, desk.only_done)
end

-- Carry out one act: {code, extra, header}; see `periscope_act` for the words.
function Desk.carry_out(desk, act)
  local field = Verbs.field_of(act)
  local memo = Desk.remembered(desk, field)
  if memo then
    if memo[1] ~= act.verb or memo[2] ~= act.analyst or memo[3] ~= act.id
      or memo[9] ~= digest(act) then
      return {code = 'CONFLICT'}
    end
    return {code = 'AGAIN', extra = memo[5], header = memo[7], at = memo[6]}
  end
  local state = Desk.threat(desk, act.key, act.analysts_key, act.id, act.analyst)
  if not state and not Verbs.needs_no_threat(act) then
    return {code = 'UNKNOWN'}
  end
  local before = state and snapshot(state, act)
  local reply = Verbs.act(desk, state, act)
  if reply.code == 'DONE' then
    Desk.remember(desk, field, act, state, reply, before)
    desk.audit[#desk.audit + 1] = {act.verb, act.id, act.analyst, act.request, act.told or ''}
  end
  return reply
end

local function write_fields(state)
  local set, gone = {}, {}
  for name in pairs(state.written) do
    local value = state.fields[name]
    if value then
      set[#set + 1], set[#set + 2] = name, value
    else
      gone[#gone + 1] = name
    end
  end
  if #set > 0 then
    redis.call('HSET', state.analysts_key, unpack(set))
  end
  if #gone > 0 then
    redis.call('HDEL', state.analysts_key, unpack(gone))
  end
end

-- What is to be audited, packed; refused here if there is no room for it.
function Desk.audit_payload(desk)
  if #desk.audit == 0 then
    return nil
  end
  local payload = cmsgpack.pack({desk.now, desk.audit})
  Log.check_audit(desk.keys.meta, desk.rules, Log.bytes(payload))
  return payload
end

-- Decide on each threat of a call whose keys are pairs: `decide(desk, state, id)` answers a word.
function Desk.on_pairs(keys, args, decide)
  local named, words = partition_keys(keys), {}
  local desk, length = Desk.open(named, args[1], args[2]), #record_prefix(named.meta)
  Desk.check(named, keys, named.first)
  for position = named.first, #keys, 2 do
    local id = string.sub(keys[position], length + 1)
    local state = Desk.threat(desk, keys[position], keys[position + 1], id)
    words[#words + 1] = state and decide(desk, state, id) or 'UNKNOWN'
  end
  return desk, words
end

-- Write all that the acts changed: nothing here can fail.
function Desk.write(desk, audit)
  local writes = Index.writes()
  for _, state in ipairs(desk.order) do
    if state.changed then
      redis.call('SETRANGE', state.key, 0, pack_header(state.header))
      Index.change(writes, state.id, state.before, Index.places(desk.rules, state))
    end
    write_fields(state)
    Claims.collect(writes, state)
  end
  Index.flush(desk.keys, writes)
  for id in pairs(desk.allowed) do
    redis.call('HDEL', desk.keys.removed, id)
  end
  for id in pairs(desk.erased) do
    redis.call('HDEL', desk.keys.stubs, id)
    redis.call('ZREM', desk.keys.stub_ages, id)
  end
  if desk.token then
    redis.call('HSET', desk.keys.meta, 'token', integer(desk.token))
  end
  Memory.keep(desk.keys, desk.rules, desk.now, desk.memos)
  if audit then
    Log.audit(desk.keys, audit)
  end
  Log.events(desk.keys, desk.rules.events_limit, desk.now, desk.events)
  bring_forward(desk.keys.meta, desk.here, desk.rules)
end
end
do
-- Claims: one analyst has one threat for a while. The claim stands in the threat's analysts hash under
-- the empty name, its end in the claims key as well: so expiry needs nobody, and a walk passes over it.

local CLAIM = ''

-- The claim on a threat that holds at `now`: {until, lease, token, holder}; nil if nobody has it.
function Claims.on(state, now)
  local packed = Desk.field(state, CLAIM)
  local claim = packed and cmsgpack.unpack(packed)
  return claim and claim[1] > now and claim or nil
end

-- Does somebody other than `analyst` hold the threat?
function Claims.is_anothers(state, analyst, now)
  local claim = Claims.on(state, now)
  return claim ~= nil and claim[4] ~= analyst
end

local function set(state, claim)
  Desk.set_field(state, CLAIM, cmsgpack.pack(claim))
  state.claim_end = integer(claim[1])
end

function Claims.drop(state)
  if Desk.field(state, CLAIM) then
    Desk.set_field(state, CLAIM, false)
    state.claim_end = ''
  end
end

-- The holder's interactions renew the lease.
function Claims.renew(state, analyst, now)
  local claim = Claims.on(state, now)
  if claim and claim[4] == analyst then
    claim[1] = math.max(claim[1], now + claim[2])
    set(state, claim)
  end
end

local function next_token(desk)
  desk.token = (desk.token or tonumber(redis.call('HGET', desk.keys.meta, 'token') or '0')) + 1
  return desk.token
end

local function told(claim)
  return {claim[1], claim[3], claim[4]}
end

local function grant(desk, state, act, lease)
  local claim = {desk.now + lease, lease, next_token(desk), act.analyst}
  set(state, claim)
  return {code = 'DONE', extra = told(claim)}
end

-- claim, with args lease_ms; the holder gets the same claim again, with at least this lease to run.
function Claims.claim(desk, state, act)
  local lease, claim = act.args[1], Claims.on(state, desk.now)
  if state.header.level ~= LEVEL_WORKING then
    return {code = 'ELSEWHERE'}
  elseif not claim then
    Desk.tell(desk, 'claim', state, act)
    return grant(desk, state, act, lease)
  elseif claim[4] ~= act.analyst then
    return {code = 'CLAIMED', extra = told(claim)}
  end
  claim[1], claim[2] = math.max(claim[1], desk.now + lease), lease
  set(state, claim)
  return {code = 'DONE', extra = told(claim)}
end

-- takeover, with args lease_ms: whoever held it loses it, on record.
function Claims.takeover(desk, state, act)
  local claim = Claims.on(state, desk.now)
  if state.header.level ~= LEVEL_WORKING then
    return {code = 'ELSEWHERE'}
  elseif not claim or claim[4] == act.analyst then
    return Claims.claim(desk, state, act)
  end
  act.told = cjson.encode({from = claim[4]})
  Desk.tell(desk, 'takeover', state, act, claim[4])
  return grant(desk, state, act, act.args[1])
end

-- next, with args lease_ms: as claim, but only what is open and nobody has, not even this analyst.
function Claims.next(desk, state, act)
  if state.header.status ~= OPEN then
    return {code = 'ELSEWHERE'}
  end
  local claim = Claims.on(state, desk.now)
  if claim then
    return {code = 'CLAIMED', extra = told(claim)}
  end
  return Claims.claim(desk, state, act)
end

-- release, with args token.
function Claims.release(desk, state, act)
  local claim = Claims.on(state, desk.now)
  if not claim or claim[4] ~= act.analyst or claim[3] ~= act.args[1] then
    return {code = 'NOT_HELD'}
  end
  Claims.drop(state)
  Desk.tell(desk, 'release', state, act)
  return {code = 'DONE'}
end

-- Collect the change of the claims key.
function Claims.collect(writes, state)
  if state.claim_end == '' then
    Index.remove(writes, 'claims', state.id)
  elseif state.claim_end then
    Index.add(writes, 'claims', state.claim_end, state.id)
  end
end
end
do
-- Taking back: an analyst's own last act on a threat, within ten minutes, while the threat is where it
-- was then.

local JUDGED = {decide = true, reopen = true}

-- The status as it was before the act, if nobody has decided it since; what a raise or the counts say
-- since then holds.
local function restore_status(state, memo, before)
  local header, after = state.header, unpack_header(memo[7])
  local undecided = Desk.status_revision(state) <= after.revision
  if undecided and memo[1] == 'escalate' then
    mark(header, FLAG_ESCALATED, has(before[7], FLAG_ESCALATED))
  end
  if undecided and header.status == after.status then
    header.status, header.status_severity, header.outcome = before[1], before[2], before[3]
  end
  local raised = header.status ~= OPEN and header.severity > header.status_severity
  local unfounded = header.status == DISMISSED and header.dismissals <= header.escalations
  if raised or unfounded then
    header.status, header.status_severity = OPEN, 0
    header.outcome = raised and 0 or header.outcome
  end
end

-- The latch as it was, if nothing followed; else what the counts that are left say.
local function restore_latch(desk, state, nothing_followed, before)
  local header, rules = state.header, desk.rules
  if nothing_followed then
    Desk.latch(state, before[5] ~= '' and tonumber(before[5]) or nil)
  elseif header.status ~= OPEN or not Moves.is_eligible(header, rules, header.last_activity) then
    Desk.latch(state, nil)
  elseif state.latch then
    Desk.latch(state, Score.of(rules, header, header.last_activity))
  end
end

local function take_counts_back(state, memo, before)
  local header, verb, analyst = state.header, memo[1], memo[2]
  if not JUDGED[verb] then
    header.interactions = math.max(0, header.interactions - 1)
    local count = Verbs.count_of(verb)
    if count then
      header[count] = math.max(0, header[count] - 1)
    end
    if Desk.last_act(state, analyst)[1] == 1 then
      header.analysts = math.max(0, header.analysts - 1)
    end
  end
  Desk.set_field(state, analyst, before[6] ~= '' and before[6])
end

-- Why this act cannot be taken back, or nil.
local function obstacle(desk, state, act, memo)
  if not memo then
    return 'UNKNOWN'
  elseif memo[2] ~= act.analyst or memo[3] ~= act.id
    or not (JUDGED[memo[1]] or Verbs.is_interaction(memo[1])) then
    return 'NOT_LAST'
  elseif desk.now - memo[6] > desk.rules.undo_within or not state then
    return 'TOO_LATE'
  end
  local header, after = state.header, unpack_header(memo[7])
  local moved = header.level ~= after.level or header.home ~= after.home
    or (header.level ~= LEVEL_LONG and header.entered ~= after.entered) or header.first_seen ~= after.first_seen
  if moved or (memo[1] == 'decide' and Moves.is_true_positive(after.outcome)) then
    return 'TOO_LATE'
  end
  local last = Desk.last_act(state, act.analyst)
  return not (last and last[4] == act.request) and 'NOT_LAST' or nil
end

-- undo of the analyst's own last act on the threat: `request` is that act's.
function Undo.undo(desk, state, act)
  local memo = Desk.remembered(desk, '.' .. act.request)
  local why_not = obstacle(desk, state, act, memo)
  if why_not then
    return {code = why_not}
  end
  local header, before = state.header, memo[8]
  local nothing_followed = header.revision == unpack_header(memo[7]).revision
  take_counts_back(state, memo, before)
  restore_status(state, memo, before)
  if nothing_followed then
    header.last_activity = before[4]
  end
  restore_latch(desk, state, nothing_followed, before)
  local level = header.level
  Moves.judge_again(state, desk.rules, desk.now)
  Desk.changed(state)
  act.told = cjson.encode({undone = memo[1]})
  Desk.tell(desk, 'undo', state, act, memo[1])
  if header.level > level then
    Desk.tell(desk, 'promotion', state, act)
  end
  return {code = 'DONE', extra = memo[1]}
end
end
do
-- What each act does to a threat (DESIGN 2). Every verb decides in tables and answers {code, extra}.

local COUNTS = {view = 'views', escalate = 'escalations', dismiss = 'dismissals'}
local INTERACTIONS = {view = true, escalate = true, dismiss = true, monitor = true,
  investigate = true}
local REFUSED_TO_OTHERS = {dismiss = true, decide = true}

-- The header's field that an interaction counts in, beside `interactions`; nil for some.
function Verbs.count_of(verb)
  return COUNTS[verb]
end

function Verbs.is_interaction(verb)
  return INTERACTIONS[verb] ~= nil
end

-- Where the reply is remembered: undo is remembered beside what it takes back.
function Verbs.field_of(act)
  return (act.verb == 'undo' and '-' or '.') .. act.request
end

function Verbs.needs_no_threat(act)
  return act.verb == 'allow' or act.verb == 'undo' or act.verb == 'erase'
end

-- Back to level 1, if the threat is not there.
local function recall(desk, state, act, opens)
  local from = state.header.level
  if from ~= LEVEL_WORKING then
    Moves.recall(state, desk.now, opens)
    state.changed = true
    Desk.tell(desk, 'recall', state, act, from)
  end
  return from
end

-- An interaction decides anew whether the threat is eligible; a recall alone does not make it so.
local function decide_latch(desk, state, verb)
  local header, rules = state.header, desk.rules
  local may = header.status == OPEN and (header.home == 0 or has(header.flags, FLAG_ESCALATED))
  local eligible = verb ~= 'dismiss' and may and Moves.is_eligible(header, rules, desk.now)
  Desk.latch(state, eligible and Score.of(rules, header, desk.now) or nil)
end

local function change_status(state, verb)
  local header = state.header
  if header.status == CLOSED then
    return
  elseif verb == 'escalate' then
    Desk.decide_status(state, OPEN)
  elseif verb == 'dismiss' and header.dismissals > header.escalations then
    Desk.decide_status(state, DISMISSED)
  end
end

local function interact(desk, state, act)
  local header = state.header
  recall(desk, state, act, false)
  Desk.changed(state)
  header.interactions = header.interactions + 1
  local count = COUNTS[act.verb]
  if count then
    header[count] = header[count] + 1
  end
  header.last_activity = math.max(header.last_activity, desk.now)
  if act.verb == 'escalate' and header.home ~= 0 then
    mark(header, FLAG_ESCALATED, true)
  end
  Desk.note_act(desk, state, act, 1)
  change_status(state, act.verb)
  decide_latch(desk, state, act.verb)
  Claims.renew(state, act.analyst, desk.now)
  Desk.tell(desk, act.verb, state, act)
  return {code = 'DONE'}
end

local function tell_promotion(desk, state, act, again)
  Desk.tell(desk, again and 'consolidation' or 'promotion', state, act)
end

-- decide, with args outcome (1 to 7), told: an outcome closes the threat; true positive promotes it.
local function decide(desk, state, act)
  local header, outcome = state.header, act.args[1]
  Desk.changed(state)
  header.outcome = outcome
  Desk.note_act(desk, state, act, 0)
  Desk.decide_status(state, CLOSED)
  Desk.latch(state, nil)
  Claims.drop(state)
  act.told = act.args[2]
  Desk.tell(desk, 'decide', state, act, outcome)
  if header.level ~= LEVEL_WORKING then
    local level = header.level
    Moves.judge_again(state, desk.rules, desk.now)
    if header.level > level then
      Desk.tell(desk, 'promotion', state, act)
    end
  elseif Moves.is_true_positive(outcome) then
    local again = Moves.promote(state, desk.rules, Score.of(desk.rules, header, desk.now), desk.now)
    tell_promotion(desk, state, act, again)
  end
  return {code = 'DONE'}
end

-- reopen, with args told: open again, without outcome.
local function reopen(desk, state, act)
  local level = state.header.level
  Desk.changed(state)
  state.header.outcome = 0
  Desk.note_act(desk, state, act, 0)
  Desk.decide_status(state, OPEN)
  act.told = act.args[1]
  Desk.tell(desk, 'reopen', state, act)
  Moves.judge_again(state, desk.rules, desk.now)
  if state.header.level > level then
    Desk.tell(desk, 'promotion', state, act)
  end
  return {code = 'DONE'}
end

-- comment, with args told: on record, and nothing else.
local function comment(desk, state, act)
  act.told = act.args[1]
  Desk.tell(desk, 'comment', state, act)
  return {code = 'DONE'}
end

-- recall: back to work, open; extra is the level that the threat was in.
local function recall_it(desk, state, act)
  local from = recall(desk, state, act, true)
  if from ~= LEVEL_WORKING then
    Desk.changed(state)
  end
  return {code = 'DONE', extra = from}
end

-- allow: reports of a removed id are taken in again.
local function allow(desk, _, act)
  if redis.call('HEXISTS', desk.keys.removed, act.id) == 0 or desk.allowed[act.id] then
    return {code = 'NOT_REMOVED'}
  end
  desk.allowed[act.id] = true
  desk.events[#desk.events + 1] = {'allow', act.id, act.analyst, 0, 0, ''}
  return {code = 'DONE'}
end

-- erase: nothing is remembered of a threat that departed.
local function erase(desk, _, act)
  desk.erased[act.id] = true
  return {code = 'DONE'}
end

local ACTS = {view = interact, escalate = interact, dismiss = interact, monitor = interact,
  investigate = interact, decide = decide, reopen = reopen, comment = comment, undo = Undo.undo,
  recall = recall_it, allow = allow, erase = erase, claim = Claims.claim, takeover = Claims.takeover,
  next = Claims.next, release = Claims.release}

function Verbs.is_known(verb)
  return ACTS[verb] ~= nil
end

function Verbs.act(desk, state, act)
  if REFUSED_TO_OTHERS[act.verb] and Claims.is_anothers(state, act.analyst, desk.now) then
    return {code = 'CLAIMED', extra = cmsgpack.unpack(Desk.field(state, ''))}
  end
  return ACTS[act.verb](desk, state, act)
end
end
do
-- The function that analysts' acts go through, whatever they are.

local REPLY_KEPT_MS = '600000'

-- An act as it came: verb, analyst, request, and what else the verb takes.
local function read_act(packed, key, analysts_key, prefix_length)
  local parts = cmsgpack.unpack(packed)
  if not Verbs.is_known(parts[1]) then
    refuse('BAD_CALL', 'an act that this library does not know')
  end
  return {verb = parts[1], analyst = parts[2], request = parts[3], args = parts[4], key = key,
    analysts_key = analysts_key, id = string.sub(key, prefix_length + 1)}
end

local function read_acts(keys, args, own)
  local acts, length = {}, #record_prefix(keys.by_name.meta)
  for position = 5, #args do
    local at = own + 2 * (position - 5)
    acts[position - 4] = read_act(args[position], keys[at], keys[at + 1], length)
  end
  return acts
end

-- With `first`, one act is wanted, on the first threat that allows it.
local function already_done(desk, acts)
  for position, act in ipairs(acts) do
    if Desk.remembered(desk, Verbs.field_of(act)) then
      return position
    end
  end
end

local SKIPPED = {code = 'SKIPPED'}

local function carry_out(desk, acts, first)
  local replies, done = {}, first and already_done(desk, acts)
  for position, act in ipairs(acts) do
    if done and done ~= position then
      replies[position] = SKIPPED
    else
      local reply = Desk.carry_out(desk, act)
      replies[position] = reply
      done = first and (reply.code == 'DONE' or reply.code == 'AGAIN') and position or done
    end
  end
  return replies
end

-- Replies as they travel: with records, {code, extra, header, body, moment}; else only the words.
local function pack(acts, replies, full, now)
  local packed = {}
  for position, reply in ipairs(replies) do
    if not full then
      packed[position] = reply.code
    else
      local body = reply.header and reply.header ~= ''
        and redis.call('GETRANGE', acts[position].key, HEADER_BYTES, -1) or ''
      packed[position] = {reply.code, cmsgpack.pack(reply.extra or ''), reply.header or '', body,
        reply.at or now}
    end
  end
  return packed
end

-- Words as {word, count, ...}: most chunks have one.
local function runs_of(words)
  local runs = {}
  for _, word in ipairs(words) do
    if runs[#runs - 1] == word then
      runs[#runs] = runs[#runs] + 1
    else
      table.insert(runs, word)
      table.insert(runs, 1)
    end
  end
  return runs
end

-- The reply to a chunk that was carried out before.
local function remembered(packed)
  local now, runs = unpack(cmsgpack.unpack(packed))
  local words = {}
  for position = 1, #runs, 2 do
    for _ = 1, runs[position + 1] do
      words[#words + 1] = runs[position]
    end
  end
  return {now, words}
end

-- periscope_act: carry out analysts' acts on threats of one partition, in the order given.
-- Why: counts, status, claims, eligibility, indexes, audit and events change together or not at all.
-- KEYS: singles..., reply, before, pair...
-- ARGV: policy, now_ms, full, first, act...
-- Returns: {now_ms, {reply, ...}}; a reply is a word, or with `full` {word, extra, header, body, at}. Words:
--   DONE, AGAIN (done before: the first reply), UNKNOWN, CLAIMED, NOT_HELD, TOO_LATE, NOT_LAST,
--   CONFLICT (the id is another act's), NOT_REMOVED, ELSEWHERE, SKIPPED. A pair is a threat's record
--   and analysts keys; an act is msgpack [verb, analyst, request, args]. With `first` acts are tried
--   until one is done. `before` and `reply` are as in periscope_ingest_2, for chunks (without `full`).
local function act(keys, args)
  keys.by_name = partition_keys(keys)
  local named = keys.by_name
  local reply, before, own = keys[named.first], keys[named.first + 1], named.first + 2
  local earlier = args[3] ~= '1' and redis.call('GET', reply)
  if earlier then
    return remembered(earlier)
  end
  if before ~= reply and redis.call('EXISTS', before) == 0 then
    refuse('OUT_OF_ORDER', 'the chunk before this one was refused')
  end
  if (#keys - own + 1) / 2 ~= #args - 4 then
    refuse('BAD_CALL', 'the arguments do not fit the keys')
  end
  if not redis.acl_check_cmd('SET', reply, '', 'PX', '1') then
    refuse('NOPERM', 'acts need the write commands that docs/how-to/own-server.md lists')
  end
  Desk.check(named, keys, own)
  local desk, acts = Desk.open(named, args[1], args[2]), read_acts(keys, args, own)
  local replies = carry_out(desk, acts, args[4] == '1')
  local audit, packed = Desk.audit_payload(desk), pack(acts, replies, args[3] == '1', desk.now)
  -- first write
  Desk.write(desk, audit)
  if args[3] ~= '1' then      -- a chunk, that another one may follow
    redis.call('SET', reply, cmsgpack.pack({desk.now, runs_of(packed)}), 'PX', REPLY_KEPT_MS)
  end
  return {desk.now, packed}
end

-- periscope_find: the act that is remembered under a request id.
-- Why: whoever takes an act back knows its id, and not the threat.
-- KEYS: meta, done, done_before
-- ARGV: request
-- Returns: {verb, analyst, id}, or {} if nothing is remembered
local function find(keys, args)
  partition_revision(keys[1])
  local memo = Memory.find({done = keys[2], done_before = keys[3]}, '.' .. args[1])
  return memo and {memo[1], memo[2], memo[3]} or {}
end

-- periscope_desk: who holds a threat, and what analysts did to it last.
-- Why: an analyst wants to see it before acting.
-- KEYS: meta, analysts
-- ARGV: now_ms
-- Returns: {now_ms, {name, packed, ...}}: the claim under '', see 60_desk.lua
local function desk_of(keys, args)
  partition_revision(keys[1])
  return {clock(args[1]), redis.call('HGETALL', keys[2])}
end

redis.register_function('periscope_act', act)
redis.register_function{function_name = 'periscope_find', callback = find, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_desk', callback = desk_of, flags = {'no-writes'}}
end
do
-- Promotion of what analysts have made eligible. A worker asks for ids, then has them promoted: the second
-- call looks again, so any number of workers may run.

-- periscope_promotable: threats that are latched for promotion and that nobody holds.
-- Why: a worker that wakes a minute later promotes all of them, and asks for nothing else.
-- KEYS: meta, promotable, claims
-- ARGV: now_ms, offset, count
-- Returns: {now_ms, {id, ...}, examined}: `examined` is how many were looked at from `offset` on
local function promotable(keys, args)
  partition_revision(keys[1])
  local now, offset = clock(args[1]), tonumber(args[2])
  local ids = redis.call('ZRANGE', keys[2], offset, offset + tonumber(args[3]) - 1, 'REV')
  local free = {}
  for _, id in ipairs(ids) do
    if tonumber(redis.call('ZSCORE', keys[3], id) or '0') <= now then
      free[#free + 1] = id
    end
  end
  return {now, free, #ids}
end

-- Promote a threat if it is still latched and free.
local function promote_one(desk, state, id)
  local header = state.header
  local held = redis.call('ZSCORE', desk.keys.claims, id)
  if header.level ~= LEVEL_WORKING or not state.latch or (held and tonumber(held) > desk.now) then
    return 'SKIPPED'
  end
  local again = Moves.promote(state, desk.rules, tonumber(state.latch), desk.now)
  Desk.changed(state)
  Desk.tell(desk, again and 'consolidation' or 'promotion', state)
  return 'DONE'
end

-- periscope_promote: promote these threats, each with the score of its latch.
-- Why: eligibility does not depend on when a worker comes.
-- KEYS: singles..., pair...
-- ARGV: policy, now_ms
-- Returns: {now_ms, {word, ...}}: DONE, SKIPPED (claimed, or no longer latched), UNKNOWN
local function promote(keys, args)
  local desk, words = Desk.on_pairs(keys, args, promote_one)
  -- first write
  Desk.write(desk)
  return {desk.now, words}
end

redis.register_function{function_name = 'periscope_promotable', callback = promotable,
  flags = {'no-writes'}}
redis.register_function('periscope_promote', promote)
end
do
-- What time has overtaken: threats at the old end of every bucket, and in the sets that tell what the board
-- cannot. A sweep asks here for ids; another call looks again and acts.

local FIRST_CLASS = 4 * BUCKETS          -- stretches after the board's buckets: classes of exceptions
local SHORT_STRETCH, LONG_STRETCH = FIRST_CLASS + 6, FIRST_CLASS + 7
local LAST_STRETCH = LONG_STRETCH
local EXAMINED = 500         -- members looked at in one call

-- The last moment in a bucket that may be overtaken, and the key's score range; nil for none.
local function bucket_range(rules, bucket, now)
  local status, within = math.floor(bucket / BUCKETS), bucket % BUCKETS
  local severity, seen = math.floor(within / BUCKETS_OF_SEVERITY), within % 11 > 0
  local moment = now - rules.working_ttl
  if status == SNOOZED or (status == OPEN and severity >= 2) then
    return nil
  elseif status == OPEN and not seen then
    moment = math.min(moment, now - rules.targets[severity])
  end
  return 'board', bucket * SPAN, bucket * SPAN + moment
end

local function class_range(rules, class, now)
  local moment = now - rules.working_ttl
  if class < Index.SET_ASIDE then
    moment = now - rules.targets[class]
  elseif class == Index.RECALLED then
    moment = now - rules.settle_after
  end
  return 'exceptions', class * SPAN, class * SPAN + moment
end

-- The sorted set of a stretch, and the range of scores in it that time may have overtaken.
local function range_of(rules, stretch, now)
  if stretch < FIRST_CLASS then
    return bucket_range(rules, stretch, now)
  elseif stretch < SHORT_STRETCH then
    return class_range(rules, stretch - FIRST_CLASS, now)
  elseif stretch == SHORT_STRETCH then
    return 'short', 0, now - rules.short_ttl
  end
  return 'long', 0, now - rules.long_ttl
end

-- The next stretch from this one on that may hold anything: over empty buckets in one step.
local function next_filled(keys, stretch)
  if stretch >= FIRST_CLASS then
    return stretch
  end
  local head = redis.call('ZRANGE', keys.board, integer(stretch * SPAN), '+inf',
    'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  return head[1] and math.floor(tonumber(head[2]) / SPAN) or FIRST_CLASS
end

-- Is the threat overtaken? 'expired', 'settled', or nil; claimed ones never are.
function Index.overtaken(keys, rules, state, now)
  local held = redis.call('ZSCORE', keys.claims, state.id)
  if held and tonumber(held) > now then
    return nil
  end
  return Moves.overtaken(state.header, rules, state.age, now)
end

-- A member of a stretch as a candidate, {word, id, revision, record, words, {analysts}}; nil if it is not.
-- One without a record is left to the deep ledger.
local function candidate(keys, rules, id, now)
  local prefix = record_prefix(keys.meta)
  local record = redis.call('GET', prefix .. id)
  if not record then
    return nil
  end
  local state = {header = unpack_header(record), id = id}
  if state.header.level == LEVEL_LONG then
    state.age = tonumber(redis.call('ZSCORE', keys.long, id) or 'inf')
  end
  local word = Index.overtaken(keys, rules, state, now)
  if word == 'settled' then
    return {word, id, integer(state.header.revision), '', '', {}}
  elseif word == 'expired' then
    local words = has(state.header.flags, FLAG_SOURCES) and redis.call('HGET', keys.sources, id) or ''
    return {word, id, integer(state.header.revision), record, words,
      Memory.analysts(string.sub(prefix, 1, -3) .. 'a:' .. id)}
  end
end

-- Candidates of one stretch from `offset` on; also how many were passed over, and whether it has more.
local function examine(keys, rules, stretch, offset, room, now)
  local name, low, high = range_of(rules, stretch, now)
  if not name or high < low then
    return {}, 0, false
  end
  local ids = redis.call('ZRANGE', keys[name], integer(low), integer(high), 'BYSCORE',
    'LIMIT', offset, room)
  local found, bytes, passed = {}, 0, 0
  for position, id in ipairs(ids) do
    local one = candidate(keys, rules, id, now)
    if one then
      found[#found + 1], bytes = one, bytes + #one[4]
    else
      passed = passed + 1
    end
    if bytes > REPLY_BYTES then
      return found, passed, true
    end
  end
  return found, passed, #ids == room
end

-- periscope_overtaken: threats that time has overtaken, a bounded step of a sweep.
-- Why: old ends are looked at, never the whole; what is found is archived before it is let go of.
-- KEYS: singles...
-- ARGV: policy, now_ms, stretch, offset, count
-- Returns: {now_ms, {candidate, ...}, stretch, offset}: candidates are {word, id, revision, record,
--   last words, analysts}, word expired or settled; go on from (stretch, offset), where what was passed
--   over is counted; stretch -1: the sweep is complete
local function overtaken(keys, args)
  local named, rules = partition_keys(keys), Score.policy(args[1])
  same_policy(named.meta, rules.revision)
  local now, count = clock(args[2]), tonumber(args[5])
  local stretch, offset, examined = tonumber(args[3]), tonumber(args[4]), 0
  local found = {}
  while #found == 0 and examined < EXAMINED do
    local from = next_filled(named, stretch)
    offset = from == stretch and offset or 0
    stretch = from
    if stretch > LAST_STRETCH then
      return {now, {}, -1, 0}
    end
    local passed, more
    found, passed, more = examine(named, rules, stretch, offset, count, now)
    examined, offset = examined + passed + 1, offset + passed
    if #found == 0 and not more then
      stretch, offset = stretch + 1, 0
    end
  end
  if stretch > LAST_STRETCH and #found == 0 then
    stretch = -1
  end
  return {now, found, stretch, offset}
end

local function settle_one(desk, state)
  if Index.overtaken(desk.keys, desk.rules, state, desk.now) ~= 'settled' then
    return 'SKIPPED'
  end
  Moves.settle(state, desk.rules, desk.now)
  Desk.changed(state)
  Desk.tell(desk, 'settled', state)
  return 'DONE'
end

-- periscope_settle: let recalled threats that are quiet return home.
-- Why: a look at old knowledge must not cost its place.
-- KEYS: singles..., pair...
-- ARGV: policy, now_ms
-- Returns: {now_ms, {word, ...}}: DONE, SKIPPED (touched meanwhile), UNKNOWN
local function settle(keys, args)
  local desk, words = Desk.on_pairs(keys, args, settle_one)
  -- first write
  Desk.write(desk)
  return {desk.now, words}
end

redis.register_function{function_name = 'periscope_overtaken', callback = overtaken,
  flags = {'no-writes'}}
redis.register_function('periscope_settle', settle)
end
do
-- The last step of a departure: the archive has the record, now the store lets go of it. The answer is kept
-- under the batch's id until the archive has confirmed it, so that no crash leaves a doubt.

local VOID = 'VOID'
local REASONS = {seen = 'archived_seen', unseen = 'archived_unseen', removed = 'removed'}

local function check(named)
  Memory.check_types(named)
  for _, name in ipairs({'archived_seen', 'archived_unseen', 'removed'}) do
    local count = redis.call('HGET', named.ledger, name)
    if count and not string.match(count, '^%d+$') then
      refuse('DAMAGED', 'a counter of the ledger is not a number')
    end
  end
  if not (Memory.may_write(named) and redis.acl_check_cmd('UNLINK', named.board)
    and redis.acl_check_cmd('HSET', named.stubs, '', '') and redis.acl_check_cmd('ZADD', named.board, '0', '')
    and redis.acl_check_cmd('HINCRBY', named.ledger, '', '0')) then
    refuse('NOPERM', 'departures need the write commands that docs/how-to/own-server.md lists')
  end
end

-- Why the threat may leave now: 'seen', 'unseen', 'removed'; nil if it stays.
local function reason_of(desk, state, revision, removed)
  if not state or state.header.revision ~= revision then
    return nil
  elseif removed then
    return 'removed'
  elseif Index.overtaken(desk.keys, desk.rules, state, desk.now) ~= 'expired' then
    return nil
  end
  return state.header.interactions > 0 and 'seen' or 'unseen'
end

-- What analysts did, for the stub: without the claim and the status's revision.
local function analysts_of(state)
  local fields, kept = Memory.analysts(state.analysts_key), {}
  for position = 1, #fields, 2 do
    if fields[position] ~= '' and fields[position] ~= '\1' then
      kept[#kept + 1], kept[#kept + 2] = fields[position], fields[position + 1]
    end
  end
  return kept
end

-- Everything that must go, or stay as a memory, when a threat leaves.
local function leave(desk, writes, state, reason)
  local id, header = state.id, state.header
  Index.change(writes.indexes, id, state.before, nil)
  writes.claims[#writes.claims + 1] = id
  writes.gone[#writes.gone + 1], writes.gone[#writes.gone + 2] = state.key, state.analysts_key
  writes.reasons[reason] = (writes.reasons[reason] or 0) + 1
  Desk.tell(desk, reason == 'removed' and 'removed' or 'expired', state, {analyst = writes.actor},
    reason)
  if reason == 'removed' then
    writes.removed[#writes.removed + 1] = id
    desk.audit[#desk.audit + 1] = {'remove', id, writes.actor, '', ''}
  else
    local words = has(header.flags, FLAG_SOURCES) and redis.call('HGET', desk.keys.sources, id) or ''
    writes.stubs[#writes.stubs + 1] = id
    writes.stubs[#writes.stubs + 1] = Memory.pack_stub(pack_header(header), words, analysts_of(state))
  end
end

local function write(desk, writes)
  local keys = desk.keys
  Index.flush(keys, writes.indexes)
  redis.call('UNLINK', unpack(writes.gone))
  redis.call('ZREM', keys.claims, unpack(writes.claims))
  redis.call('HDEL', keys.sources, unpack(writes.claims))
  for position = 1, #writes.stubs, 2 do
    redis.call('HSET', keys.stubs, writes.stubs[position], writes.stubs[position + 1])
    redis.call('ZADD', keys.stub_ages, integer(desk.now), writes.stubs[position])
  end
  for _, id in ipairs(writes.removed) do
    redis.call('HSET', keys.removed, id, cmsgpack.pack({desk.now, writes.actor}))
  end
  for reason, count in pairs(writes.reasons) do
    redis.call('HINCRBY', keys.ledger, REASONS[reason], integer(count))
  end
end

-- Words for the threats of a batch, and what is to be written.
local function decide(desk, keys, args, length)
  local writes = {indexes = Index.writes(), claims = {}, gone = {}, reasons = {}, stubs = {},
    removed = {}, actor = args[4]}
  local words, first, removed = {}, desk.keys.first, args[4] ~= ''
  for position = first, #keys, 2 do
    local at = (position - first) / 2
    local state = Desk.threat(desk, keys[position], keys[position + 1],
      string.sub(keys[position], length + 1))
    local reason = reason_of(desk, state, tonumber(args[5 + at]), removed)
    if reason then
      leave(desk, writes, state, reason)
    end
    words[#words + 1] = reason and 'd' or 'k'
  end
  return words, writes
end

-- periscope_depart: let go of archived threats, each only if it is as it was archived.
-- Why: expiry is a move; a threat that was touched since stays, and its row is taken back.
-- KEYS: singles..., pair...
-- ARGV: policy, now_ms, batch, actor, revision...
-- Returns: {now_ms, words}: a letter for each, d departed, k kept; 'VOID' if the batch was given up. The
--   same batch again answers the first reply. With an actor the threats are removed, not expired.
local function depart(keys, args)
  local named = partition_keys(keys)
  local earlier = redis.call('HGET', named.departures, args[3])
  if earlier then
    return {clock(args[2]), string.match(earlier, '^%S+')}
  end
  check(named)
  local desk = Desk.open(named, args[1], args[2])
  local words, writes = decide(desk, keys, args, #record_prefix(named.meta))
  local text, audit = table.concat(words), Desk.audit_payload(desk)
  -- first write
  if #writes.gone > 0 then
    write(desk, writes)
    if audit then
      Log.audit(named, audit)
    end
    Log.events(named, desk.rules.events_limit, desk.now, desk.events)
    Memory.forget_stubs(named, desk.rules, desk.now, #words)
  end
  redis.call('HSET', named.departures, args[3], text .. ' ' .. integer(desk.now))
  bring_forward(named.meta, desk.here, desk.rules)
  return {desk.now, text}
end

-- periscope_resolve: what became of a batch of which no answer came; if nothing, it never will.
-- Why: a worker was killed between the archive and the store; a late call of it must do nothing.
-- KEYS: meta, departures
-- ARGV: batch, now_ms
-- Returns: the words of periscope_depart, or VOID
local function resolve(keys, args)
  partition_revision(keys[1])
  local words = redis.call('HGET', keys[2], args[1])
  if words then
    return string.match(words, '^%S+')
  end
  -- first write
  redis.call('HSET', keys[2], args[1], VOID .. ' ' .. integer(clock(args[2])))
  return VOID
end

-- periscope_confirm: the archive has confirmed these batches: forget their answers.
-- Why: what is kept for the case of a crash must not grow.
-- KEYS: departures
-- ARGV: batch...
-- Returns: how many were there
local function confirm(keys, args)
  -- first write
  return redis.call('HDEL', keys[1], unpack(args))
end

-- periscope_forget: forget stubs that are too old or too many.
-- Why: memory of the departed is bounded; a step deletes a bounded number.
-- KEYS: singles...
-- ARGV: policy, now_ms, most
-- Returns: how many were forgotten
local function forget(keys, args)
  local named, rules = partition_keys(keys), Score.policy(args[1])
  partition_revision(named.meta)
  check(named)
  -- first write
  return Memory.forget_stubs(named, rules, clock(args[2]), tonumber(args[3]))
end

redis.register_function{function_name = 'periscope_depart', callback = depart, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_resolve', callback = resolve, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_confirm', callback = confirm, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_forget', callback = forget, flags = {'allow-oom'}}
end
