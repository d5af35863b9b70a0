-- Promotion of what analysts have made eligible. A worker asks for ids, then has them promoted: the second
-- call looks again, so any number of workers may run.

-- periscope_promotable: threats that are latched for promotion and that nobody holds.
-- Why: a worker that wakes a minute later promotes all of them, and asks for nothing else.
-- KEYS: meta, promotable, claims
-- ARGV: now_ms, offset, count
-- Returns: {now_ms, {id, ...}, examined}: `examined` is how many were looked at from `offset` on
local function promotable(keys, args)
  partition_revision(keys[1])
  local now, offset = clock(args[1]), tonumber(args[2])
  local ids = redis.call('ZRANGE', keys[2], offset, offset + tonumber(args[3]) - 1, 'REV')
  local free = {}
  for _, id in ipairs(ids) do
    if tonumber(redis.call('ZSCORE', keys[3], id) or '0') <= now then
      free[#free + 1] = id
    end
  end
  return {now, free, #ids}
end

-- Promote a threat if it is still latched and free.
local function promote_one(desk, state, id)
  local header = state.header
  local held = redis.call('ZSCORE', desk.keys.claims, id)
  if header.level ~= LEVEL_WORKING or not state.latch or (held and tonumber(held) > desk.now) then
    return 'SKIPPED'
  end
  local again = Moves.promote(state, desk.rules, tonumber(state.latch), desk.now)
  Desk.changed(state)
  Desk.tell(desk, again and 'consolidation' or 'promotion', state)
  return 'DONE'
end

-- periscope_promote: promote these threats, each with the score of its latch.
-- Why: eligibility does not depend on when a worker comes.
-- KEYS: singles..., pair...
-- ARGV: policy, now_ms
-- Returns: {now_ms, {word, ...}}: DONE, SKIPPED (claimed, or no longer latched), UNKNOWN
local function promote(keys, args)
  local desk, words = Desk.on_pairs(keys, args, promote_one)
  -- first write
  Desk.write(desk)
  return {desk.now, words}
end

-- periscope_promote_2: promote these threats, each with the score of its latch; as often as it comes, once.
-- Why: who lost the answer must be told what was done, not that nothing is left to do.
-- KEYS: singles..., reply, pair...
-- ARGV: policy, now_ms
-- Returns: as periscope_promote. The answer is kept under `reply`, and given again
local function promote_2(keys, args)
  local desk, words = Desk.on_pairs_once(keys, args, promote_one)
  if not desk then
    return words
  end
  -- first write
  Desk.write(desk)
  return Desk.leave_answer(keys[#SINGLES + 1], {desk.now, words})
end

redis.register_function{function_name = 'periscope_promotable', callback = promotable,
  flags = {'no-writes'}}
redis.register_function('periscope_promote', promote)
redis.register_function('periscope_promote_2', promote_2)
