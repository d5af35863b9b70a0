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
