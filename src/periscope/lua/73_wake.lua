-- Waking: a snoozed threat is open again when its time has come. A worker asks for ids, then has them woken:
-- the second call looks again, so any number of workers may run.

-- periscope_sleepers: snoozed threats whose time has come, the earliest first.
-- Why: what is due stands at the old end of its class of exceptions; nothing else is looked at.
-- KEYS: meta, exceptions
-- ARGV: now_ms, offset, count
-- Returns: {now_ms, {id, ...}}
local function sleepers(keys, args)
  partition_revision(keys[1])
  local now, first = clock(args[1]), Index.SNOOZED * SPAN
  return {now, redis.call('ZRANGE', keys[2], integer(first), integer(first + math.min(now, SPAN - 1)),
    'BYSCORE', 'LIMIT', args[2], args[3])}
end

-- Wake a threat if its time has come. One that an older library let out of its snooze, but not out of the
-- index, is put right.
local function wake_one(desk, state, id)
  local header = state.header
  local ends = Moves.wakes_at(header)
  if not ends or ends > desk.now then
    local place = header.level == LEVEL_WORKING and Index.exception_place(header)
    Index.renew_place(desk.writes, 'exceptions', id, true, place)
    return 'SKIPPED'
  end
  Moves.set_status(header, OPEN, desk.now)
  Desk.changed(state)
  Desk.tell(desk, 'wake', state)
  return 'DONE'
end

-- periscope_wake: open these threats again, each if its snooze has ended; as often as it comes, once.
-- Why: time ends a snooze, and no analyst acts: it is told in the events, and stands in no audit trail.
-- KEYS: singles..., reply, pair...
-- ARGV: policy, now_ms
-- Returns: {now_ms, {word, ...}}: DONE, SKIPPED (no longer snoozed, or until later), UNKNOWN. The answer is
--   kept under `reply`, and given again
local function wake(keys, args)
  local desk, words = Desk.on_pairs_once(keys, args, wake_one)
  if not desk then
    return words
  end
  -- first write
  Desk.write(desk)
  return Desk.leave_answer(keys[#SINGLES + 1], {desk.now, words})
end

redis.register_function{function_name = 'periscope_sleepers', callback = sleepers, flags = {'no-writes'}}
-- A full server lets threats wake: it costs next to nothing, and what is due must not stay hidden.
redis.register_function{function_name = 'periscope_wake', callback = wake, flags = {'allow-oom'}}
