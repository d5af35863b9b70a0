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
