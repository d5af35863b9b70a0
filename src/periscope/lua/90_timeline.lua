-- The timeline: a sample a minute of the queue in figures, a stream whose entries bear the minute as their id.

local MINUTE_MS = 60000
local AHEAD_MS = 120000      -- a sample that is further ahead is of a clock that has been set back since
local MOST_SAMPLES = 1440
local SAMPLE_BYTES = 4096

-- Put samples into the stream anew, those before the minute: what stands there of a clock that was ahead would
-- keep any other out until that time has come.
local function rewrite(timeline, samples)
  redis.call('UNLINK', timeline)
  for _, one in ipairs(samples) do
    redis.call('XADD', timeline, one[1], one[2][1], one[2][2])
  end
end

-- periscope_sample: keep the sample of a minute, unless somebody else has kept one.
-- Why: of any number of processes one tells how it was, without any of them knowing of the others.
-- KEYS: control, timeline
-- ARGV: minute_ms, sample, now_ms
-- Returns: 'KEPT' | 'THERE'; the oldest ones beyond 1,440 go. What a clock that was set back has left in the
--   future goes as well
local function keep_sample(keys, args)
  Move.refuse_carried(keys[1])
  local minute, now = tonumber(args[1]), clock(args[3])
  if not (minute and minute > 0 and minute % MINUTE_MS == 0 and minute <= now + MINUTE_MS) or #args[2] > SAMPLE_BYTES then
    refuse('BAD_CALL', 'a sample that is none')
  end
  local id, earlier = integer(minute), nil
  if redis.call('XRANGE', keys[2], integer(now + AHEAD_MS), '+', 'COUNT', 1)[1] then
    earlier = redis.call('XRANGE', keys[2], '-', '(' .. id .. '-0', 'COUNT', MOST_SAMPLES)
  elseif redis.call('XRANGE', keys[2], id, '+', 'COUNT', 1)[1] then
    return 'THERE'
  end
  if not (redis.acl_check_cmd('XADD', keys[2], '*', '', '') and redis.acl_check_cmd('UNLINK', keys[2])) then
    refuse('NOPERM', 'the timeline needs the write commands that docs/how-to/own-server.md lists')
  end
  -- first write
  if earlier then
    rewrite(keys[2], earlier)
  end
  redis.call('XADD', keys[2], 'MAXLEN', MOST_SAMPLES, id .. '-0', 'sample', args[2])
  return 'KEPT'
end

-- periscope_timeline: the samples of the last so many milliseconds, the oldest first.
-- Why: a chart is drawn from one answer.
-- KEYS: timeline
-- ARGV: span_ms, now_ms
-- Returns: {now_ms, {sample, ...}}
local function timeline(keys, args)
  local span, now, samples = tonumber(args[1]), clock(args[2]), {}
  if not (span and span >= 0 and span <= SPAN) then
    refuse('BAD_CALL', 'a span of time that is none')
  end
  local found = redis.call('XRANGE', keys[1], integer(math.max(0, now - span)), integer(now), 'COUNT', MOST_SAMPLES)
  for position, one in ipairs(found) do
    samples[position] = one[2][2]
  end
  return {now, samples}
end

redis.register_function('periscope_sample', keep_sample)
redis.register_function{function_name = 'periscope_timeline', callback = timeline, flags = {'no-writes'}}
