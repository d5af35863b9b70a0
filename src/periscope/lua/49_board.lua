-- The board in figures: how many open threats score how much, how many nobody looked at, what waits for promotion.

local RANGES = 10            -- of the scores, each 0.1 wide; the last has no upper end

-- Add the open threats of a bucket to the ranges that their scores lie in. Within a bucket the score rises with the
-- last activity, so a range is a stretch of it; the first range is looked for one too low, for the sake of rounding.
local function add_bucket(board, rules, bucket, now, counts)
  local base, below = (OPEN * BUCKETS + bucket) * SPAN, 0
  local first = math.floor(rules.static[bucket] * RANGES)
  for range = math.max(1, math.min(first, RANGES)), RANGES do
    local last = SPAN - 1
    if range < RANGES then
      last = Score.last_moment(rules, bucket, range / RANGES, true, now)
    end
    if last >= 0 then
      local upto = redis.call('ZCOUNT', board, integer(base), integer(base + last))
      counts[range], below = counts[range] + upto - below, upto
    end
    if last == SPAN - 1 then
      break
    end
  end
end

-- periscope_board: open threats by score and by severity, counted; and how many are latched.
-- Why: a dashboard is looked at all the time: a few counts of ranges say it, however many threats there are.
-- KEYS: meta, board, promotable
-- ARGV: policy, now_ms
-- Returns: {now_ms, {10 counts: score below 0.1, below 0.2 ... 0.9 and above}, {4 counts of the unseen}, latched}
local function board_figures(keys, args)
  local rules = Score.policy(args[1])
  same_policy(keys[1], rules.revision)
  local now, counts, unseen = clock(args[2]), {}, {}
  for range = 1, RANGES do
    counts[range] = 0
  end
  for _, bucket in ipairs(Rank.filled_buckets(keys[2], rules, OPEN, -1, 0)) do
    add_bucket(keys[2], rules, bucket, now, counts)
  end
  for severity = 0, 3 do
    local base = (OPEN * BUCKETS + severity * BUCKETS_OF_SEVERITY) * SPAN
    unseen[severity + 1] = redis.call('ZCOUNT', keys[2], integer(base), '(' .. integer(base + SPAN))
  end
  return {now, counts, unseen, redis.call('ZCARD', keys[3])}
end

redis.register_function{function_name = 'periscope_board', callback = board_figures, flags = {'no-writes'}}
