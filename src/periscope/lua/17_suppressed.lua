-- What is suppressed: reports that a warninglist or a rule has marked as noise. They are counted by id, in
-- an entry of their own; no threat is made of them, none is changed, and nobody is told. An entry is a head,
-- and what its last report said: cause, source and title, each after its length in two bytes of 7 bits.

-- format, severity, count, first and last ms, ms of the last return, how many groups follow: see `too_often`
local HEAD = '<BBI4I6I6I6B'
local HEAD_BYTES, RETURNED_AT = 25, 19
local GROUP, GROUP_BYTES, MOST_GROUPS = '<I4I6', 10, 18   -- reports, ms of the last of them
local ENTRY_FORMAT = 1
local MOST_COUNTED = 4294967295
local MOST_ENTRIES = 100000  -- of a partition; those that were seen longest ago go first
local MOST_EVICTED = 600     -- in one call: more than a chunk can bring
local VALUES_OF_A_CALL = 2000
local KEPT_MS = 2592000000   -- after the last report: 30 days
local LONGEST = {256, 256, 120}   -- bytes of cause, source, title

-- Is this what a report said, as marks.py packs it? `first` is where it begins.
function Suppressed.is_said(packed, first)
  for field = 1, 3 do
    local low, high = string.byte(packed, first, first + 1)
    if not high or low + 128 * high > LONGEST[field] or (field == 1 and low + high == 0) then
      return false
    end
    first = first + 2 + low + 128 * high
  end
  return first == #packed + 1
end

-- Where in an entry begins what its last report said.
local function said_at(packed)
  return HEAD_BYTES + 1 + GROUP_BYTES * string.byte(packed, HEAD_BYTES)
end

-- Refuse an entry that this library cannot read.
local function check_entry(packed)
  if #packed > 0 and string.byte(packed) ~= ENTRY_FORMAT then
    refuse('NEWER_FORMAT', 'a suppressed entry of format ' .. integer(string.byte(packed)))
  elseif #packed < HEAD_BYTES or string.byte(packed, HEAD_BYTES) > MOST_GROUPS
    or not Suppressed.is_said(packed, said_at(packed)) then
    refuse('DAMAGED', 'a suppressed entry is cut short')
  end
end

local function cause_of(packed)
  local first = said_at(packed)
  local low, high = string.byte(packed, first, first + 1)
  return string.sub(packed, first + 2, first + 1 + low + 128 * high)
end

-- The cause of an entry as it was found.
function Suppressed.cause(packed)
  check_entry(packed)
  return cause_of(packed)
end

-- The groups as they are when the clock was put back to `now`: none is of the future.
local function put_back(groups, now)
  local fitting = {}
  for at = 1, #groups, GROUP_BYTES do
    local reports, last = struct.unpack(GROUP, groups, at)
    fitting[#fitting + 1] = struct.pack(GROUP, reports, math.min(last, now))
  end
  return table.concat(fitting)
end

-- How many reports each group has, and when the last of them came; and how many groups there are.
local function numbers_of(groups)
  local size = #groups / GROUP_BYTES
  return {struct.unpack('<' .. string.rep('I4I6', size), groups)}, size
end

-- Count a report in the groups of an entry; return them, and whether more than `most` came within `window`
-- ms. A group counts as long as its last report is in the window: so never fewer are counted than came, and
-- as a group has a 16th of `most` at the most, hardly more (up to a `most` of 16, none). Where there are too
-- many groups, the two oldest become one: then those behind them are enough already.
local function too_often(groups, most, window, now)
  local values, size = numbers_of(groups)
  if size > 0 and values[2 * size] > now then
    groups = put_back(groups, now)
    values = numbers_of(groups)
  end
  local within, gone = 1, 0
  for slot = 1, 2 * size, 2 do
    if values[slot + 1] > now - window then
      within = within + values[slot]
    else
      gone = gone + 1
    end
  end
  local newest = gone < size and values[2 * size - 1]
  if newest and newest < math.ceil(most / (MOST_GROUPS - 2)) then
    groups = string.sub(groups, gone * GROUP_BYTES + 1, -GROUP_BYTES - 1)
      .. struct.pack(GROUP, newest + 1, now)
  elseif gone == 0 and size == MOST_GROUPS then
    groups = struct.pack(GROUP, math.min(values[1] + values[3], MOST_COUNTED), values[4])
      .. string.sub(groups, 2 * GROUP_BYTES + 1) .. struct.pack(GROUP, 1, now)
  else
    groups = string.sub(groups, gone * GROUP_BYTES + 1) .. struct.pack(GROUP, 1, now)
  end
  return groups, within > most
end

-- Count a marked report in an entry (nil, or too old: a new one) under its ground, {most, window_ms,
-- until_ms}; return the new head with its groups, whether the mark is outdone, and when it was seen last. It
-- is outdone by a severity above `here`, that of its threat now (nil: of the entry), or if it comes too often.
function Suppressed.counted(entry, ground, severity, here, now)
  local was, count, first, last, returned, groups = nil, 0, now, now, 0, ''
  if entry then
    local _, severity_then, counted, since, seen, back = struct.unpack(HEAD, entry)
    if now - seen < KEPT_MS then
      was, count, first, last, returned = severity_then, counted, since, seen, back
      groups = string.sub(entry, HEAD_BYTES + 1, said_at(entry) - 1)
    end
  end
  local outdone, often = severity > (here or was or 3), false
  if ground[2] > 0 then
    groups, often = too_often(groups, ground[1], ground[2], now)
  end
  outdone = outdone or often
  count, last = math.min(count + (outdone and 0 or 1), MOST_COUNTED), math.max(last, now)
  return struct.pack(HEAD, ENTRY_FORMAT, math.max(severity, was or 0), count, first, last, returned,
    #groups / GROUP_BYTES) .. groups, outdone, last
end

-- The entry of a report that went the usual way in spite of its mark.
function Suppressed.returned(packed, now)
  return string.sub(packed, 1, RETURNED_AT - 1) .. struct.pack('<I6', now)
    .. string.sub(packed, RETURNED_AT + 6)
end

-- Are the keys of the right type, and may this user do what `write` does? How many entries there are.
function Suppressed.check(keys)
  local size = redis.call('ZCARD', keys.suppressed_ages)
  redis.call('HLEN', keys.suppressed)
  redis.call('HLEN', keys.suppressed_causes)
  if not (redis.acl_check_cmd('HSET', keys.suppressed, '', '')
    and redis.acl_check_cmd('HDEL', keys.suppressed, '')
    and redis.acl_check_cmd('ZADD', keys.suppressed_ages, '0', '')
    and redis.acl_check_cmd('ZREM', keys.suppressed_ages, '')
    and redis.acl_check_cmd('HSET', keys.suppressed_causes, '', '')
    and redis.acl_check_cmd('HDEL', keys.suppressed_causes, '')) then
    refuse('NOPERM', 'suppressing needs the write commands that docs/how-to/own-server.md lists')
  end
  return size
end

-- The first `count` of the oldest entries, those of this chunk (there are `touched`) aside.
local function oldest(keys, entries, count, touched)
  local ids = {}
  for _, id in ipairs(redis.call('ZRANGE', keys.suppressed_ages, 0, count + touched - 1)) do
    if #ids < count and not entries[id] then
      ids[#ids + 1] = id
    end
  end
  return ids
end

local function change(changes, cause, by)
  changes[cause] = (changes[cause] or 0) + by
end

-- The numbers of entries by cause as they will be, {cause, number, ...}, and causes that have none left.
local function renewed(keys, changes)
  local names, set, gone = {}, {}, {}
  for cause, by in pairs(changes) do
    names[#names + 1] = by ~= 0 and cause or nil
  end
  local numbers = #names > 0 and redis.call('HMGET', keys.suppressed_causes, unpack(names)) or {}
  for position, number in ipairs(numbers) do
    if number and not (string.match(number, '^%d+$') and tonumber(number) < SAFE_INTEGER) then
      refuse('DAMAGED', 'a number of suppressed entries is none')
    end
    local left = tonumber(number or '0') + changes[names[position]]
    if left > 0 then
      set[#set + 1], set[#set + 2] = names[position], integer(left)
    else
      gone[#gone + 1] = names[position]
    end
  end
  return set, gone
end

-- What is to be written where these entries leave; `changes` are of causes, of the entries that stay.
function Suppressed.leaving(keys, ids, changes)
  local entries = #ids > 0 and redis.call('HMGET', keys.suppressed, unpack(ids)) or {}
  for _, packed in ipairs(entries) do
    if packed then
      change(changes, Suppressed.cause(packed), -1)
    end
  end
  local set, gone = renewed(keys, changes)
  return {entries = {}, ages = {}, causes = set, causes_gone = gone, gone = ids}
end

-- What is to be written of a chunk with marks; `size` is how many entries there are.
function Suppressed.plan(chunk, size)
  local changes, added, packed, ages, now = {}, 0, {}, {}, integer(chunk.now)
  for id, entry in pairs(chunk.entries) do
    local cause, was, slot = cause_of(entry), chunk.causes[id], #packed
    if was ~= cause then
      change(changes, cause, 1)
      added = added + (was and 0 or 1)
      if was then
        change(changes, was, -1)
      end
    end
    packed[slot + 1], packed[slot + 2] = id, entry
    ages[slot + 1], ages[slot + 2] = chunk.lasts[id] or now, id
  end
  local over = math.min(size + added - MOST_ENTRIES, MOST_EVICTED)
  local ids = over > 0 and oldest(chunk.keys, chunk.entries, over, #ages / 2 - added) or {}
  local plan = Suppressed.leaving(chunk.keys, ids, changes)
  plan.entries, plan.ages = packed, ages
  return plan
end

local function run(command, key, values)
  for first = 1, #values, VALUES_OF_A_CALL do
    redis.call(command, key, unpack(values, first, math.min(#values, first + VALUES_OF_A_CALL - 1)))
  end
end

-- Write what was planned: nothing here can fail.
function Suppressed.write(keys, plan)
  run('HDEL', keys.suppressed, plan.gone)
  run('ZREM', keys.suppressed_ages, plan.gone)
  run('HDEL', keys.suppressed_causes, plan.causes_gone)
  run('HSET', keys.suppressed, plan.entries)
  run('ZADD', keys.suppressed_ages, plan.ages)
  run('HSET', keys.suppressed_causes, plan.causes)
end

-- Name the keys of NOISE_KEYS in keys.py, which begin at `first`.
function Suppressed.name_keys(keys, names, first)
  keys.suppressed, keys.suppressed_ages = names[first], names[first + 1]
  keys.suppressed_causes = names[first + 2]
  return keys
end

-- Ids of entries that are too old or too many, the oldest first, at most `most`.
function Suppressed.outlived(keys, size, now, most)
  local old = redis.call('ZCOUNT', keys.suppressed_ages, '-inf', integer(now - KEPT_MS))
  local count = math.min(most, MOST_EVICTED, math.max(old, size - MOST_ENTRIES))
  return count > 0 and oldest(keys, {}, count, 0) or {}
end
