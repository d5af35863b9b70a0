-- The score of DESIGN 2 on the server, and its inverse: from a score back to a moment. scoring.py is
-- the reference; both add the terms in the same order, so that they agree bit for bit.

local policy_text, policy    -- the last policy seen, parsed: every call brings it as text

-- What follows the first ten numbers of a policy; times in ms, limits in bytes or numbers.
local FURTHER = {'promote_score', 'promote_analysts', 'promote_escalations', 'long_confidence',
  'long_consolidations', 'validated_escalations', 'protected_consolidations',
  'consolidation_interval', 'decay_per_day', 'decay_floor', 'working_ttl', 'short_ttl', 'long_ttl',
  'settle_after', 'target_low', 'target_medium', 'target_high', 'target_critical', 'undo_within',
  'remember_for', 'remember_limit', 'stub_ttl', 'stub_limit', 'events_limit', 'audit_limit',
  'interactions_cap', 'escalations_cap'}

-- The static part of every bucket's score: the first three terms, added as scoring.py adds them.
local function static_parts(numbers, caps)
  local static = {}
  for severity = 0, 3 do
    for escalations = 0, 3 do
      for interactions = 0, 10 do
        static[severity * BUCKETS_OF_SEVERITY + escalations * 11 + interactions] =
          (numbers[2] * numbers[6 + severity] + numbers[3] * math.min(1, interactions / caps.interactions_cap))
          + numbers[4] * math.min(1, escalations / caps.escalations_cap)
      end
    end
  end
  return static
end

-- policy_revision, four weights, four severity values (LOW first), time constant in ms; FURTHER.
function Score.policy(text)
  if text == policy_text then
    return policy
  end
  local numbers = {}
  for word in string.gmatch(text, '%S+') do
    numbers[#numbers + 1] = tonumber(word)
  end
  local parsed = {text = text, revision = numbers[1], recency = numbers[5], constant = numbers[10],
    interactions_cap = CAPS.interactions_cap, escalations_cap = CAPS.escalations_cap}
  for position, name in ipairs(FURTHER) do
    parsed[name] = numbers[10 + position] or parsed[name]
  end
  parsed.static = static_parts(numbers, parsed)
  if parsed.audit_limit then
    parsed.targets = {[0] = parsed.target_low, parsed.target_medium, parsed.target_high,
      parsed.target_critical}
    parsed.decay_rate = -math.log(parsed.decay_per_day) / 86400000
  end
  policy_text, policy = text, parsed
  return parsed
end

-- The score in `bucket` of a threat last active at `moment`, at time `now`.
function Score.at(rules, bucket, moment, now)
  return rules.static[bucket] + rules.recency * math.exp(-math.max(0, now - moment) / rules.constant)
end

-- The score of a working threat at `now`.
function Score.of(rules, header, now)
  return Score.at(rules, bucket_of(rules, header.severity, header.escalations, header.interactions),
    header.last_activity, now)
end

-- Narrow [low, high], where fits(low) and not fits(high), to neighbours; return the lower one.
local function bisect(low, high, fits)
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if fits(middle) then
      low = middle
    else
      high = middle
    end
  end
  return low
end

-- From a good guess, find a bracket for `bisect` in a few steps: a plain search costs 42 of them.
local function bracket(guess, now, fits)
  local low, high, step = 0, now, 1
  if fits(guess) then
    low = guess
    while low + step < now and fits(low + step) do
      low, step = low + step, step * 2
    end
    high = math.min(now, low + step)
  else
    high = guess
    while high - step > 0 and not fits(high - step) do
      high, step = high - step, step * 2
    end
    low = math.max(0, high - step)
  end
  return low, high
end

-- The last moment at which a threat of `bucket` scores `limit` or less (less than it, if strict);
-- -1 if none does. Exact: it compares the very doubles that the ranking compares.
function Score.last_moment(rules, bucket, limit, strict, now)
  local function fits(moment)
    local score = Score.at(rules, bucket, moment, now)
    return score < limit or (not strict and score == limit)
  end
  if fits(now) then
    return SPAN - 1
  end
  if not fits(0) then
    return -1
  end
  local guess = now + rules.constant * math.log((limit - rules.static[bucket]) / rules.recency)
  if guess ~= guess or guess < 0 then
    guess = 0
  end
  local low, high = bracket(math.min(now, math.floor(guess)), now, fits)
  return bisect(low, high, fits)
end
