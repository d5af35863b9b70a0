-- Who is here: what the filters in our programs are filled from, followed with, and checked against.

local STEP = 2               -- entries fetched at once: each may have 250 KB of ids
local FOLLOW_BYTES = 262144  -- a reply to a follower is cut after so many bytes of events
local SEEN_BYTES = 47        -- of a header: level is its byte 2, last_activity its bytes 42 to 47
local NOBODY = '\0\0\0\0\0\0\0'

-- The rank of the first member after (score, id), whether or not that one is still there.
local function rank_after(key, score, id)
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. score)
  local high = redis.call('ZCOUNT', key, '-inf', score)
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

-- periscope_members: ids of a level, in the order of its sorted set, after a place in it.
-- Why: a filter is filled while others work; a place found again by score and id skips nobody who
--   stays, and SCAN would walk what others keep on the server as well.
-- KEYS: meta, level
-- ARGV: after_score, after_id, count
-- Returns: {{id, ...}, score of the last one}; fewer than `count`: there are no more
local function members(keys, args)
  partition_revision(keys[1])
  local first = args[1] == '' and 0 or rank_after(keys[2], args[1], args[2])
  local ids = redis.call('ZRANGE', keys[2], first, first + tonumber(args[3]) - 1)
  return {ids, #ids > 0 and redis.call('ZSCORE', keys[2], ids[#ids]) or ''}
end

-- Where a stream ends and how many entries were ever added: XDEL and XTRIM change neither.
local function stream_end(events)
  if redis.call('EXISTS', events) == 0 then
    return '0-0', 0
  end
  local facts, named = redis.call('XINFO', 'STREAM', events), {}
  for position = 1, #facts, 2 do
    named[facts[position]] = facts[position + 1]
  end
  return named['last-generated-id'], named['entries-added']
end

-- The fingerprint of the entry of this name; '' if it is not there.
local function mark_of(events, name)
  local entry = redis.call('XRANGE', events, name, name)[1]
  return entry and redis.sha1hex(entry[2][2] or '') or ''
end

-- Entries after this one, {{name, payload}, ...}, and whether there are more.
local function entries_after(events, after, most)
  local found, bytes = {}, 0
  while #found < most and bytes < FOLLOW_BYTES do
    local entries = redis.call('XRANGE', events, '(' .. after, '+', 'COUNT', STEP)
    for _, entry in ipairs(entries) do
      found[#found + 1], bytes = {entry[1], entry[2][2] or ''}, bytes + #(entry[2][2] or '')
      after = entry[1]
    end
    if #entries < STEP then
      return found, 0
    end
  end
  return found, 1
end

-- Threats that the ledger says were added, how many are here, and what the two differ by beside the
-- departed: the last never changes, whatever happens to the partition through our functions.
local function census(ledger, levels)
  local counts, members = redis.call('HMGET', ledger, 'added', 'archived_seen', 'archived_unseen',
    'removed'), 0
  for position = 1, 4 do
    counts[position] = tonumber(counts[position] or '0')
  end
  for _, level in ipairs(levels) do
    members = members + redis.call('ZCARD', level)
  end
  return counts[1], members, counts[1] - counts[2] - counts[3] - counts[4] - members
end

-- periscope_follow: the events after an entry, with all that shows whether any was missed.
-- Why: a filter may answer "no" only while it has certainly heard of every threat that was added.
-- KEYS: meta, events, ledger, board, short, long
-- ARGV: after, count
-- Returns: {now_ms, last, entries_added, mark, lost, added, members, unaccounted, more,
--   {{entry, payload}, ...}}: `last` is the end of the stream, `entries_added` counts all there ever
--   were, `mark` is the SHA-1 of the entry `after`, '' if it is gone; `lost` is the last one that was
--   let go of. An empty `after` means the end: no entries, its mark.
local function follow(keys, args)
  partition_revision(keys[1])
  local last, entries_added = stream_end(keys[2])
  local added, members_now, unaccounted = census(keys[3], {keys[4], keys[5], keys[6]})
  local after, entries, more = args[1], {}, 0
  if after == '' then
    after = last
  else
    entries, more = entries_after(keys[2], after, tonumber(args[2]))
  end
  return {clock(''), last, entries_added, mark_of(keys[2], after),
    redis.call('HGET', keys[1], 'events_lost') or '', added, members_now, unaccounted, more, entries}
end

-- periscope_seen: level and last activity of each threat.
-- Why: whoever asks of a hundred thousand ids wants neither their reports nor a reply for each.
-- KEYS: meta, record...
-- ARGV:
-- Returns: 7 bytes for each record in one string: level (0: unknown), last_activity in ms (6, LSB first)
local function seen(keys)
  partition_revision(keys[1])
  local found = {}
  for position = 2, #keys do
    local header = redis.call('GETRANGE', keys[position], 0, SEEN_BYTES - 1)
    if header == '' then
      found[position - 1] = NOBODY
    elseif #header < SEEN_BYTES then
      refuse('DAMAGED', 'a record is shorter than its header')
    elseif string.byte(header) ~= FORMAT then
      refuse('NEWER_FORMAT', 'a record of format ' .. integer(string.byte(header)))
    else
      found[position - 1] = string.sub(header, 2, 2) .. string.sub(header, 42, 47)
    end
  end
  return table.concat(found)
end

redis.register_function{function_name = 'periscope_members', callback = members, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_follow', callback = follow, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_seen', callback = seen, flags = {'no-writes'}}
