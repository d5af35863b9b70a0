-- What a partition remembers: ids of interactions and requests with their replies (two generations,
-- so that forgetting is one RENAME), and stubs of departed threats.

local CARDS = {HLEN = {'ledger', 'sources', 'stubs', 'removed', 'departures', 'done', 'done_before'},
  ZCARD = {'board', 'exceptions', 'promotable', 'claims', 'short', 'short_rank', 'long', 'long_rank',
    'stub_ages'}, XLEN = {'events', 'audit'}}

local MOST_ANALYSTS = 1000   -- of a threat, that are remembered when it departs
local NUMBERS = {'event_bytes', 'audit_bytes', 'token', 'forgotten', 'remembered_since'}
local HASH_VALUES = 1000     -- of one command on a hash

-- Is every key of the type we gave it (the server's own error says which it is not), and are the numbers
-- of the meta key numbers? What was seen on the way: the size of each key, the numbers (nil for those
-- that are not there) and, under `state`, what `partition_revision` wants to know.
function Memory.check_types(keys)
  local seen, call = {}, redis.call
  for command, names in pairs(CARDS) do
    for position = 1, #names do
      seen[names[position]] = call(command, keys[names[position]])
    end
  end
  seen.state = call('HMGET', keys.meta, 'format', 'policy_revision', unpack(NUMBERS))
  for position, name in ipairs(NUMBERS) do
    local number = seen.state[position + 2]
    seen[name] = tonumber(number or nil)
    if number and not (string.match(number, '^%d+$') and seen[name] < SAFE_INTEGER) then
      refuse('DAMAGED', 'a number of the meta key is none')
    end
  end
  return seen
end

-- May this user do what the functions that write do, beside what they check by themselves?
function Memory.may_write(keys)
  return redis.acl_check_cmd('ZREM', keys.board, '') and redis.acl_check_cmd('HDEL', keys.stubs, '')
    and redis.acl_check_cmd('XADD', keys.events, '*', '', '')
    and redis.acl_check_cmd('XTRIM', keys.events, 'MAXLEN', '1')
end

-- Is it time for the next generation? Half the limit, or the whole time: ids are known for one to two
-- periods. Returns the new beginning, or nil. `seen` is of `check_types`.
local function next_generation(rules, seen, now)
  local since = seen.remembered_since
  if not since or now - since >= rules.remember_for
    or seen.done >= math.max(1, rules.remember_limit / 2) then
    return now
  end
end

-- Remember `memos`, {field, packed, ...}; ids forgotten before their time are counted.
function Memory.keep(keys, rules, seen, now, memos)
  if #memos == 0 then
    return
  end
  local since = next_generation(rules, seen, now)
  if since then
    if seen.done_before > 0 and since - (seen.remembered_since or since) < rules.remember_for then
      redis.call('HINCRBY', keys.meta, 'forgotten', integer(seen.done_before))
    end
    redis.call('UNLINK', keys.done_before)
    if seen.done > 0 then
      redis.call('RENAME', keys.done, keys.done_before)
    end
    redis.call('HSET', keys.meta, 'remembered_since', integer(since))
  end
  for first = 1, #memos, HASH_VALUES do
    redis.call('HSET', keys.done, unpack(memos, first, math.min(#memos, first + HASH_VALUES - 1)))
  end
end

-- What is remembered under `field`, packed; false if nothing is.
function Memory.find(keys, field)
  return redis.call('HGET', keys.done, field) or redis.call('HGET', keys.done_before, field)
end

local function find_in(key, fields, found)
  for first = 1, #fields, HASH_VALUES do
    local last = math.min(#fields, first + HASH_VALUES - 1)
    for position, packed in ipairs(redis.call('HMGET', key, unpack(fields, first, last))) do
      found[first + position - 1] = found[first + position - 1] or packed
    end
  end
end

-- What is remembered under each of these fields, in their order; `seen` is of `check_types`.
function Memory.find_all(keys, seen, fields)
  local found = {}
  find_in(keys.done, fields, found)
  if seen.done_before > 0 then
    find_in(keys.done_before, fields, found)
  end
  return found
end

-- What analysts did to a threat, as {name, field, ...}. A crowd of more than a thousand is not carried
-- along: the count stands in the header, and what they did in the audit trail.
function Memory.analysts(key)
  return redis.call('HLEN', key) <= MOST_ANALYSTS and redis.call('HGETALL', key) or {}
end

-- A stub: header, last words, analysts as {name, field, ...}.
function Memory.pack_stub(header, words, analysts)
  return cmsgpack.pack({header, words, analysts})
end

-- The stub of a departed threat as a table; nil if there is none; false if it is too old to count.
function Memory.stub(keys, rules, id, now)
  local packed = redis.call('HGET', keys.stubs, id)
  if not packed then
    return nil
  elseif now - tonumber(redis.call('ZSCORE', keys.stub_ages, id) or '0') >= rules.stub_ttl then
    return false
  end
  local parts = cmsgpack.unpack(packed)
  return {header = parts[1], words = parts[2], analysts = parts[3]}
end

-- Is nobody remembered at all, as departed or removed?
function Memory.is_empty(keys)
  return redis.call('HLEN', keys.stubs) + redis.call('HLEN', keys.removed) == 0
end

-- Nobody of a chunk was ever here: neither a stub nor a removed id? (Where there are none at all, no
-- question is asked, and no id made.)
function Memory.are_strangers(keys, chunk, all_ids)
  local ids
  for _, key in ipairs({keys.stubs, keys.removed}) do
    if redis.call('HLEN', key) > 0 then
      ids = ids or all_ids(chunk)
      for _, found in ipairs(redis.call('HMGET', key, unpack(ids))) do
        if found then
          return false
        end
      end
    end
  end
  return true
end

-- Forget stubs that are too old or too many, oldest first, at most `most` of them; return how many.
function Memory.forget_stubs(keys, rules, now, most)
  local over = math.max(0, redis.call('ZCARD', keys.stub_ages) - rules.stub_limit)
  local old = redis.call('ZCOUNT', keys.stub_ages, '-inf', integer(now - rules.stub_ttl))
  local count = math.min(most, math.max(over, old))
  if count > 0 then
    local ids = redis.call('ZRANGE', keys.stub_ages, 0, count - 1)
    redis.call('ZREM', keys.stub_ages, unpack(ids))
    redis.call('HDEL', keys.stubs, unpack(ids))
  end
  return count
end
