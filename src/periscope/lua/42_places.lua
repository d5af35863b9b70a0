-- Where threats stand on the board, by id: for lists that were chosen by what the board knows nothing of.

-- periscope_places: the place and the score of each of these threats on the board.
-- Why: whoever found threats by other means leaves their order to the board, as of one moment.
-- KEYS: meta, board
-- ARGV: policy, now_ms, id...
-- Returns: {now_ms, packed}: for each id 16 bytes, its place and its score as doubles (LSB first);
--   the place is -1 where it is not on the board
local function places(keys, args)
  local rules = Score.policy(args[1])
  same_policy(keys[1], rules.revision)
  local now, found = clock(args[2]), redis.call('ZMSCORE', keys[2], unpack(args, 3))
  for position, shown in ipairs(found) do
    local place, score = tonumber(shown or '-1'), 0
    if place >= 0 then
      score = Score.at(rules, math.floor(place / SPAN) % BUCKETS, place % SPAN, now)
    end
    found[position] = struct.pack('<dd', place, score)
  end
  return {now, table.concat(found)}
end

-- periscope_holders: who has each of these threats.
-- Why: a claim ends by time, so only the server's clock can tell whether it still holds.
-- KEYS: meta, analysts...
-- ARGV: now_ms
-- Returns: {now_ms, {until_ms, holder, ...}}: 0 and '' where nobody has it
local function holders(keys, args)
  partition_revision(keys[1])
  local now, found = clock(args[1]), {}
  for position = 2, #keys do
    local packed = redis.call('HGET', keys[position], '')
    local claim = packed and cmsgpack.unpack(packed)
    local holds = claim and claim[1] > now
    found[#found + 1] = holds and integer(claim[1]) or '0'
    found[#found + 1] = holds and claim[4] or ''
  end
  return {now, found}
end

redis.register_function{function_name = 'periscope_holders', callback = holders, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_places', callback = places, flags = {'no-writes'}}
