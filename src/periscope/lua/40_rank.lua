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
Rank.filled_buckets = filled_buckets

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
