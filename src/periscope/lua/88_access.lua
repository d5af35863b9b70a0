-- Who may do what: API keys, accounts, sessions, failed sign-ins and rates, kept beside the control key; and
-- remarks in the audit trail on what concerns no threat. The functions see digests and hashes, never a secret.

local MOST_FIELDS = 16       -- that one change sets
local MOST_USED = 500        -- keys whose last use is noted in one call
local FIELD_BYTES = 65536
local TRIES = 5              -- failed sign-ins in a row until the name is locked out
local LOCK_MS = 60000        -- for that long at first, twice as long each further time
local LOCK_MOST_MS = 3600000
local ATTEMPTS_KEPT_MS = '7200000'
local REMARK_KEPT_MS = '600000'
local BUCKET_SPARE_MS = 1000

-- Refuse whoever would change what a move is just carrying to another server, or has carried.
function Move.refuse_carried(control)
  local found = redis.call('HMGET', control, 'moved_to', 'move')
  if found[1] then
    refuse('MOVING', 'moved to ' .. found[1] .. ': open it there')
  elseif found[2] and string.find(found[2], '"phase":"switching"', 1, true) then
    refuse('MOVING', 'is being moved to another server; change what belongs to no threat when that is done')
  end
end

local function access_revision(access)
  local revision = tonumber(redis.call('HGET', access, 'revision') or '0')
  if not revision then
    refuse('DAMAGED', 'the revision of keys and accounts is no number')
  end
  return revision
end

-- periscope_access: keys and accounts, if they are not those of the revision that is known.
-- Why: every process looks several times a second, and seldom finds a change.
-- KEYS: access
-- ARGV: known_revision, now_ms
-- Returns: {now_ms, revision, {field, value, ...}}; no fields where nothing has changed
local function access(keys, args)
  local revision = access_revision(keys[1])
  local same = revision == tonumber(args[1])
  return {clock(args[2]), revision, same and {} or redis.call('HGETALL', keys[1])}
end

-- periscope_access_put: change keys or accounts if nobody else did meanwhile.
-- Why: of two who change them at once one must look again; programs look at the revision alone. It is the
--   server's time, so that one which a failover lost does not come again for something else.
-- KEYS: control, access
-- ARGV: expected_revision, pair...
-- Returns: {'SET' | 'CHANGED', revision}; a pair is field and value, and an empty value removes the field
local function access_put(keys, args)
  Move.refuse_carried(keys[1])
  local revision = access_revision(keys[2])
  if revision ~= tonumber(args[1]) then
    return {'CHANGED', revision}
  end
  if #args % 2 == 0 or #args < 3 or #args > 2 * MOST_FIELDS + 1 then
    refuse('BAD_CALL', 'no pairs, or too many')
  end
  for position = 3, #args, 2 do
    if #args[position] > FIELD_BYTES then
      refuse('BAD_CALL', 'a key or account of more than ' .. integer(FIELD_BYTES) .. ' bytes')
    end
  end
  if not redis.acl_check_cmd('HDEL', keys[2], '') then
    refuse('NOPERM', 'keys need the write commands that docs/how-to/own-server.md lists')
  end
  revision = math.max(revision + 1, clock(''))
  -- first write
  redis.call('HSET', keys[2], 'revision', integer(revision))
  for position = 2, #args, 2 do
    if args[position + 1] == '' then
      redis.call('HDEL', keys[2], args[position])
    else
      redis.call('HSET', keys[2], args[position], args[position + 1])
    end
  end
  return {'SET', revision}
end

-- periscope_access_used: note when keys were used last.
-- Why: an unused key is one to be revoked; it is no change of who may do what, so the revision stays.
-- KEYS: access
-- ARGV: pair...
-- Returns: how many were noted; a pair is prefix and ms, and of keys that are gone nothing is noted
local function access_used(keys, args)
  if #args % 2 == 1 or #args == 0 or #args > 2 * MOST_USED then
    refuse('BAD_CALL', 'no pairs, or too many')
  end
  local pairs_of = {}
  for position = 1, #args, 2 do
    if redis.call('HEXISTS', keys[1], 'k:' .. args[position]) == 1 then
      pairs_of[#pairs_of + 1] = 'u:' .. args[position]
      pairs_of[#pairs_of + 1] = args[position + 1]
    end
  end
  -- first write
  if pairs_of[1] then
    redis.call('HSET', keys[1], unpack(pairs_of))
  end
  return #pairs_of / 2
end

-- periscope_attempt: count a sign-in that begins, or refuse it.
-- Why: it is counted before the password is looked at, in the step that asks whether it may be: however many
--   come at once, to however many processes, no more than TRIES passwords are tried.
-- KEYS: attempts
-- ARGV: now_ms
-- Returns: {'TRY', ms} or {'LOCKED', ms}: for how long nobody may try again. Whoever succeeds deletes the key
local function attempt(keys, args)
  local now = clock(args[1])
  local failures, ends = string.match(redis.call('GET', keys[1]) or '0 0', '^(%d+) (%d+)$')
  if not failures then
    refuse('DAMAGED', 'the count of failed sign-ins cannot be read')
  end
  local left = tonumber(ends) - now
  -- None lasts longer than that, unless the clock was set back.
  if left > 0 and left <= LOCK_MOST_MS then
    return {'LOCKED', left}
  end
  local count, lock = tonumber(failures) + 1, 0
  if count % TRIES == 0 then
    lock = math.min(LOCK_MOST_MS, LOCK_MS * 2 ^ (count / TRIES - 1))
  end
  -- first write
  redis.call('SET', keys[1], integer(count) .. ' ' .. integer(now + lock), 'PX', ATTEMPTS_KEPT_MS)
  return {'TRY', lock}
end

-- periscope_session: keep a session for as long as it may be idle.
-- Why: whoever signs in while the server is full must be able to make room.
-- KEYS: session
-- ARGV: value, ttl_ms, renew
-- Returns: 'KEPT' | 'GONE'; with `renew` '1' one that has ended stays so
local function session(keys, args)
  local length = tonumber(args[2])
  if #args[1] > FIELD_BYTES or not (length and length >= 1) then
    refuse('BAD_CALL', 'a session that is none')
  end
  if args[3] == '1' and redis.call('EXISTS', keys[1]) == 0 then
    return 'GONE'
  end
  -- first write
  redis.call('SET', keys[1], args[1], 'PX', integer(length))
  return 'KEPT'
end

-- What a bucket holds by now: tokens, never more than `burst`. A new one is full.
local function tokens_of(bucket, rate, burst, now)
  local found = redis.call('GET', bucket)
  if not found then
    return burst
  end
  local tokens, at = string.match(found, '^(%S+) (%d+)$')
  tokens, at = tonumber(tokens), tonumber(at)
  if not (tokens and at) then
    refuse('DAMAGED', 'a rate bucket cannot be read')
  end
  return math.min(burst, tokens + math.max(0, now - at) * rate / 1000)
end

local function rate_of(args)
  local rate, burst, wanted, least = tonumber(args[1]), tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  if not (rate and rate > 0 and rate < SAFE_INTEGER and burst and burst >= 1 and burst < SAFE_INTEGER
    and wanted and wanted < SAFE_INTEGER and least and least >= 1 and least <= wanted and least <= burst) then
    refuse('BAD_CALL', 'a rate that is none')
  end
  return rate, burst, wanted, least
end

-- periscope_spend: take tokens out of a bucket that fills at a rate.
-- Why: a key's rate holds over all processes together; each takes a few tokens at a time.
-- KEYS: bucket
-- ARGV: rate, burst, wanted, least, now_ms
-- Returns: {tokens, ms}: so many whole tokens, from `least` to `wanted`; or none, and in how many ms there
--   may be `least`. `rate` is tokens a second
local function spend(keys, args)
  local rate, burst, wanted, least = rate_of(args)
  local now = clock(args[5])
  local tokens = tokens_of(keys[1], rate, burst, now)
  local given = math.min(math.floor(wanted), math.floor(tokens))
  if given < least then
    return {0, math.max(1, math.ceil((least - tokens) * 1000 / rate))}
  end
  local rest = tokens - given
  local kept = math.ceil((burst - rest) * 1000 / rate) + BUCKET_SPARE_MS
  -- first write
  redis.call('SET', keys[1], string.format('%.17g', rest) .. ' ' .. integer(now), 'PX',
    integer(math.min(kept, SPAN)))
  return {given, 0}
end

-- periscope_remark: an entry in the audit trail for what is no analyst's act on a threat.
-- Why: who made keys, accounts and settings what they are belongs where the rest of the trail is. It has the
--   empty threat id, which is no threat's: so nothing that looks for a threat, or erases one, finds it.
-- KEYS: meta, audit, reply
-- ARGV: policy, now_ms, action, who, request, told
-- Returns: 'DONE' | 'AGAIN'
local function remark(keys, args)
  partition_revision(keys[1])
  if redis.call('EXISTS', keys[3]) == 1 then
    return 'AGAIN'
  end
  local now, rules = clock(args[2]), Score.policy(args[1])
  local kept = tonumber(redis.call('HGET', keys[1], 'audit_bytes') or '0')
  if not kept then
    refuse('DAMAGED', 'a number of the meta key is none')
  end
  redis.call('XLEN', keys[2])
  local payload = cmsgpack.pack({now, {{args[3], '', args[4], args[5], args[6]}}})
  Log.check_audit(kept, rules, Log.bytes(payload))
  if not (redis.acl_check_cmd('XADD', keys[2], '*', '', '') and redis.acl_check_cmd('HSET', keys[1], '', '')
    and redis.acl_check_cmd('SET', keys[3], '', 'PX', '1')) then
    refuse('NOPERM', 'remarks need the write commands that docs/how-to/own-server.md lists')
  end
  -- first write
  Log.append({meta = keys[1], audit = keys[2]}, {audit_bytes = kept}, 0, nil, payload)
  redis.call('SET', keys[3], '-', 'PX', REMARK_KEPT_MS)
  return 'DONE'
end

-- A full server must still let somebody in who makes room, revoke a key, and say who did.
redis.register_function{function_name = 'periscope_access', callback = access, flags = {'no-writes'}}
redis.register_function{function_name = 'periscope_access_put', callback = access_put, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_access_used', callback = access_used,
  flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_attempt', callback = attempt, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_session', callback = session, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_spend', callback = spend, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_remark', callback = remark, flags = {'allow-oom'}}
