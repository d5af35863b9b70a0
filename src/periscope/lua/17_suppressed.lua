-- What is suppressed: reports that a warninglist or a rule has marked as noise. They are counted by id, in
-- an entry of their own; no threat is made of them, none is changed, and nobody is told.

-- format, severity, count, first and last ms, start of the window, reports in it, ms of the last return;
-- then cause, source and title, each after its length
local ENTRY = '<BBI4I6I6I6I4I6I2c0I2c0I2c0'
local ENTRY_FORMAT = 1
local MOST_ENTRIES = 100000  -- of a partition; those that were seen longest ago go first
local MOST_EVICTED = 600     -- in one call: more than a chunk can bring
local VALUES_OF_A_CALL = 2000
Suppressed.KEPT_MS = 2592000000   -- after the last report: 30 days

-- An entry as a table.
function Suppressed.unpack(packed)
  if string.byte(packed) ~= ENTRY_FORMAT and #packed > 0 then
    refuse('NEWER_FORMAT', 'a suppressed entry of format ' .. integer(string.byte(packed)))
  end
  local read, _, severity, count, first, last, since, within, returned, cause, source, title =
    pcall(struct.unpack, ENTRY, packed)
  if not read then
    refuse('DAMAGED', 'a suppressed entry is cut short')
  end
  return {severity = severity, count = count, first = first, last = last, since = since,
    within = within, returned = returned, cause = cause, source = source, title = title}
end

local function pack_entry(e)
  return struct.pack(ENTRY, ENTRY_FORMAT, e.severity, e.count, e.first, e.last, e.since, e.within,
    e.returned, #e.cause, e.cause, #e.source, e.source, #e.title, e.title)
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
      change(changes, Suppressed.unpack(packed).cause, -1)
    end
  end
  local set, gone = renewed(keys, changes)
  return {entries = {}, ages = {}, causes = set, causes_gone = gone, gone = ids}
end

-- What is to be written of a chunk with marks; `size` is how many entries there are.
function Suppressed.plan(chunk, size)
  local changes, added, packed, ages = {}, 0, {}, {}
  for id, entry in pairs(chunk.entries) do
    if entry.was ~= entry.cause then
      change(changes, entry.cause, 1)
    end
    if not entry.was then
      added = added + 1
    elseif entry.was ~= entry.cause then
      change(changes, entry.was, -1)
    end
    packed[#packed + 1], packed[#packed + 2] = id, pack_entry(entry)
    ages[#ages + 1], ages[#ages + 2] = integer(entry.last), id
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
  local old = redis.call('ZCOUNT', keys.suppressed_ages, '-inf', integer(now - Suppressed.KEPT_MS))
  local count = math.min(most, MOST_EVICTED, math.max(old, size - MOST_ENTRIES))
  return count > 0 and oldest(keys, {}, count, 0) or {}
end
