-- The ranking: a walk over the buckets of the board in falling order of their static part. Within
-- a bucket the score falls with last_activity only, so the board's own order is the ranking's.

-- Buckets of the query that hold anything, in falling order of their static part.
local function filled_buckets(board, rules, status, severity)
  local first, last = 0, BUCKETS - 1
  if severity >= 0 then
    first, last = severity * BUCKETS_OF_SEVERITY, (severity + 1) * BUCKETS_OF_SEVERITY - 1
  end
  local base, found = status * BUCKETS, {}
  local floor, ceiling = integer((base + first) * SPAN), (base + last + 1) * SPAN
  while true do
    local head = redis.call('ZRANGE', board, '(' .. integer(ceiling), floor,
      'BYSCORE', 'REV', 'LIMIT', 0, 1, 'WITHSCORES')
    if not head[1] then
      break
    end
    local bucket = math.floor(tonumber(head[2]) / SPAN)
    found[#found + 1] = bucket - base
    ceiling = bucket * SPAN
  end
  table.sort(found, function(a, b) return rules.static[a] > rules.static[b] end)
  return found
end

-- The stretch of `bucket` that the query asks for: moments low to high, and below `id` at high.
-- `after` is where the last page ended: {score, moment, id}.
local function stretch(rules, bucket, query, now)
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
    local below = Score.last_moment(rules, bucket, after.score, true, now)
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

-- The first `count` members of the stretch, as {id, place, id, place ...}.
local function fetch(board, base, part, count)
  local floor, ceiling = base + part.low, integer(base + part.high)
  if not part.id then
    return redis.call('ZRANGE', board, ceiling, integer(floor),
      'BYSCORE', 'REV', 'LIMIT', 0, count, 'WITHSCORES')
  end
  local start = rank_below(board, ceiling, part.id)
  local found = redis.call('ZRANGE', board, start, start + count - 1, 'REV', 'WITHSCORES')
  while #found > 0 and tonumber(found[#found]) < floor do
    found[#found] = nil
    found[#found] = nil
  end
  return found
end

-- Does `a` rank before `b`? Score, then last activity, then id bytes, all falling.
local function ranks_before(a, b)
  if a.score ~= b.score then
    return a.score > b.score
  end
  if a.moment ~= b.moment then
    return a.moment > b.moment
  end
  return bytes_before(b.id, a.id)
end

-- Merge two ranked lists into their first `count`.
local function merge(left, right, count)
  local merged, i, j = {}, 1, 1
  while #merged < count and (left[i] or right[j]) do
    if not right[j] or (left[i] and ranks_before(left[i], right[j])) then
      merged[#merged + 1], i = left[i], i + 1
    else
      merged[#merged + 1], j = right[j], j + 1
    end
  end
  return merged
end

local function as_entries(rules, bucket, base, found, now)
  local entries = {}
  for position = 1, #found, 2 do
    local moment = tonumber(found[position + 1]) - base
    entries[#entries + 1] = {id = found[position], moment = moment, place = base + moment,
      score = Score.at(rules, bucket, moment, now)}
  end
  return entries
end

-- The first `count` of the query. A bucket whose best possible score lies below the last of those
-- found is not opened, nor any after it (equal is opened: a tie may rank before).
local function best(board, rules, query, now)
  local ranked = {}
  for _, bucket in ipairs(query.buckets) do
    local last = ranked[query.count]
    if last and rules.static[bucket] + rules.recency < last.score then
      break
    end
    local base, part = (query.status * BUCKETS + bucket) * SPAN, stretch(rules, bucket, query, now)
    if last then
      part.low = math.max(part.low, Score.last_moment(rules, bucket, last.score, true, now) + 1)
    end
    if part.low <= part.high then
      local found = fetch(board, base, part, query.count)
      ranked = merge(ranked, as_entries(rules, bucket, base, found, now), query.count)
    end
  end
  return ranked
end

-- How many match the query, wherever the walk has come to.
local function total(board, rules, query, now)
  local whole, sum = {highest = query.highest, lowest = query.lowest}, 0
  for _, bucket in ipairs(query.buckets) do
    local base, part = (query.status * BUCKETS + bucket) * SPAN, stretch(rules, bucket, whole, now)
    if part.low <= part.high then
      sum = sum + redis.call('ZCOUNT', board, integer(base + part.low), integer(base + part.high))
    end
  end
  return sum
end

-- Records of the first entries, as many as fit into a reply.
local function records_of(prefix, ranked, count)
  local records, bytes = {}, 0
  for position = 1, math.min(count, #ranked) do
    local record = redis.call('GET', prefix .. ranked[position].id)
    if not record then
      refuse('DAMAGED', 'the board names a threat that has no record')
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
  local query = {status = tonumber(args[3]), count = tonumber(args[7]),
    lowest = tonumber(args[5]), highest = tonumber(args[6])}
  if args[9] ~= '' then
    query.after = read_place(rules, tonumber(args[9]), now)
    query.after.id = args[10]
  end
  query.buckets = filled_buckets(board, rules, query.status, tonumber(args[4]))
  return query
end

-- periscope_rank: a stretch of the live ranking, from the top or from where a page ended.
-- Why: scores fall every millisecond, yet nothing is ever re-scored: the order is computed here.
-- KEYS: meta, board
-- ARGV: policy, now_ms, status, severity, lowest, highest, count, records, after_place, after_id
-- Returns: {now_ms, total, {id, place, ...}, {record, ...}}: ids in rank order with their board
--   scores, and the records of the first of them, at most `records` and 1 MiB
local function rank(keys, args)
  local rules = Score.policy(args[1])
  same_policy(keys[1], rules.revision)
  local now = clock(args[2])
  local query = read_query(args, rules, keys[2], now)
  local ranked, places = best(keys[2], rules, query, now), {}
  for position, entry in ipairs(ranked) do
    places[2 * position - 1], places[2 * position] = entry.id, entry.place
  end
  return {now, total(keys[2], rules, query, now), places,
    records_of(record_prefix(keys[1]), ranked, tonumber(args[8]))}
end

redis.register_function{function_name = 'periscope_rank', callback = rank, flags = {'no-writes'}}
