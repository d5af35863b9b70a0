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
