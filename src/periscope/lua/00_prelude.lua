#!lua name=periscope
-- Periscope's function library. The files of this folder are joined in the order of their names;
-- every file but this one is wrapped in do ... end, so only what stands here is shared.
--
-- Rules of the house: check everything, then write. A function has one line `-- first write`;
-- after it nothing can fail. Every function touches one partition and declares what it writes.
-- Ids and times arrive as text; fingerprints are bytes and never numbers. Order text with
-- `bytes_before`, never with `<`: the server compares text by its locale.

local VERSION = 7            -- of this library; raise it with every change to these files
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
local BUCKETS = 176          -- severity (4) x escalations up to 3 (4) x interactions up to 10 (11)
local BUCKETS_OF_SEVERITY = 44
local CAPS = {escalations_cap = 3, interactions_cap = 10}  -- of programs before 0.3, and the most there are
local SPAN = 2 ^ 42          -- milliseconds that a bucket has room for: to the year 2109
local REPLY_BYTES = 1048576  -- a reply is cut after this many bytes of records
local SAFE_INTEGER = 2 ^ 53

-- What a file lends to the files after it; each is filled by the file that bears its name.
local Score, Sighting, Index, Moves, Log, Memory = {}, {}, {}, {}, {}, {}
local Chunk, Stretch, Rank, Desk, Claims, Undo, Verbs = {}, {}, {}, {}, {}, {}, {}
local Swift, Move, Suppressed = {}, {}, {}

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
-- Spelt out, because a constructor allocates once and a loop six times.
local function partition_keys(keys)
  return {first = #SINGLES + 1, meta = keys[1], ledger = keys[2], board = keys[3],
    exceptions = keys[4], promotable = keys[5], claims = keys[6], short = keys[7],
    short_rank = keys[8], long = keys[9], long_rank = keys[10], sources = keys[11],
    stubs = keys[12], stub_ages = keys[13], removed = keys[14], departures = keys[15],
    events = keys[16], audit = keys[17], done = keys[18], done_before = keys[19]}
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

-- Refuse a partition whose format is not ours: of a newer program, or fenced while it is being moved.
local function refuse_format(meta, format)
  local moving = redis.call('HGET', meta, 'moving')
  if moving then
    refuse('MOVING', moving)
  end
  refuse('NEWER_FORMAT', 'records of format ' .. integer(tonumber(format)))
end

-- Check that the partition is prepared and its records are of our format; return the policy revision.
-- `state` is {format, policy_revision}, where they were read already.
local function partition_revision(meta, state)
  state = state or redis.call('HMGET', meta, 'format', 'policy_revision')
  if not state[1] then
    refuse('UNPREPARED', 'this partition has no meta key')
  end
  if tonumber(state[1]) > FORMAT then
    refuse_format(meta, state[1])
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
local function writers_revision(meta, revision, state)
  local here = partition_revision(meta, state)
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

-- The bucket of these counts: those beyond the policy's caps make no difference.
local function bucket_of(rules, severity, escalations, interactions)
  return severity * BUCKETS_OF_SEVERITY + math.min(escalations, rules.escalations_cap) * 11
    + math.min(interactions, rules.interactions_cap)
end

-- A threat's place on the board: 10 bits of status and bucket, 42 bits of last activity.
local function board_place(rules, header)
  local bucket = bucket_of(rules, header.severity, header.escalations, header.interactions)
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
