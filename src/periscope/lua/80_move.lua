-- A database on its way to other partitions, another policy or another server: the note that says how far
-- it has come, and the fence that keeps everybody else out meanwhile.

local FENCED = 99            -- a format that no program knows: old and new ones refuse the partition

-- Refuse whoever is not the one who fenced this partition.
local function movers_own(meta, move)
  if redis.call('HGET', meta, 'move') ~= move then
    refuse('MOVING', 'is not being moved by this program (any more); run its command again')
  end
end

-- The note on the move; NO_DATABASE where there is no control key at all.
local NO_DATABASE = 'none'
local function note_of(control, expected)
  if expected == NO_DATABASE and redis.call('EXISTS', control) == 0 then
    return NO_DATABASE
  end
  return redis.call('HGET', control, 'move') or ''
end

-- periscope_move: set the note on a move if it says what is expected, and other fields with it.
-- Why: of two programs that move a database one must lose, and the switch is one step.
-- KEYS: control
-- ARGV: expected, value, pair...
-- Returns: what the note says now, '' for nothing. A pair is a field of the control key and its value;
--   an empty value removes the field or the note. `expected` is 'none' for a control key that is not there
local function move(keys, args)
  if note_of(keys[1], args[1]) ~= args[1] then
    return redis.call('HGET', keys[1], 'move') or ''
  end
  local set, gone = {}, {}
  for position = 1, #args - 1, 2 do
    local name, value = position == 1 and 'move' or args[position], args[position + 1]
    if value ~= '' then
      set[#set + 1], set[#set + 2] = name, value
    else
      gone[#gone + 1] = name
    end
  end
  -- first write
  if #gone > 0 then
    redis.call('HDEL', keys[1], unpack(gone))
  end
  if #set > 0 then
    redis.call('HSET', keys[1], unpack(set))
  end
  return args[2]
end

-- periscope_fence: refuse every program that comes to this partition, but the one of this move.
-- Why: nothing may change while it is copied, and nobody may write to what was left behind.
-- KEYS: meta
-- ARGV: move, reason, new
-- Returns: 1. With `new` it must be a partition that nobody has prepared yet. The fence of an earlier move
--   is taken over: that one was given up, and its program stood still meanwhile. Ids begin with the time
local function fence(keys, args)
  local found = redis.call('HMGET', keys[1], 'move', 'format', 'moving')
  if found[1] and bytes_before(args[1], found[1]) then
    refuse('MOVING', found[3] or '')
  elseif args[3] == '1' and found[2] and not found[1] then
    refuse('MOVING', 'has been moved already')
  end
  -- first write
  redis.call('HSET', keys[1], 'format', FENCED, 'moving', args[2], 'move', args[1])
  return 1
end

-- periscope_hold: fence a partition once more, if the fence of this move still stands there.
-- Why: a failover may lose a fence, and with it the promise that nothing changed: nobody may set it again as
--   if it had stood all the time. It is a write, so that replicas are waited for where the settings say so.
-- KEYS: meta
-- ARGV: move
-- Returns: 1, or 0 if it is not fenced by this move
local function hold(keys, args)
  if redis.call('HGET', keys[1], 'move') ~= args[1] then
    return 0
  end
  -- first write
  redis.call('HSET', keys[1], 'move', args[1])
  return 1
end

-- periscope_unfence: let everybody in again, after a move was given up.
-- Why: what was copied from is still whole.
-- KEYS: meta
-- ARGV: move
-- Returns: 1, or 0 if it is not fenced by this move
local function unfence(keys, args)
  if redis.call('HGET', keys[1], 'move') ~= args[1] then
    return 0
  end
  -- first write
  redis.call('HSET', keys[1], 'format', FORMAT)
  redis.call('HDEL', keys[1], 'moving', 'move')
  return 1
end

-- Give a stream, which holds nothing, a last entry.
local function begin_stream(key, entry)
  redis.call('XADD', key, entry, 'e', '')
  redis.call('XTRIM', key, 'MAXLEN', 0)
end

-- periscope_open: make a partition that was copied one to work with.
-- Why: both streams go on after all entries that ever were: the archive knows acts by their entries, and a
--   follower who comes with an old position must be told that he missed something.
-- KEYS: meta, events, audit
-- ARGV: move, policy_revision, policy, entry
-- Returns: 1, or 0 if it is open already
local function open(keys, args)
  if redis.call('HGET', keys[1], 'move') ~= args[1] then
    partition_revision(keys[1])
    return 0
  end
  redis.call('XLEN', keys[2])
  redis.call('XLEN', keys[3])
  -- first write
  begin_stream(keys[2], args[4])
  begin_stream(keys[3], args[4])
  redis.call('HSET', keys[1], 'format', FORMAT, 'policy_revision', args[2], 'policy', args[3],
    'events_lost', args[4])
  redis.call('HDEL', keys[1], 'moving', 'move')
  return 1
end

-- periscope_resolve_fenced: as periscope_resolve, in a partition that this move has fenced.
-- Why: every departure is settled before the partition is copied; a late call of a worker finds the fence,
--   and its batch given up if the move is given up.
-- KEYS: meta, departures
-- ARGV: move, batch, now_ms
-- Returns: the words of periscope_depart, or VOID
local function resolve_fenced(keys, args)
  movers_own(keys[1], args[1])
  local words = redis.call('HGET', keys[2], args[2])
  if words then
    return string.match(words, '^%S+')
  end
  -- first write
  redis.call('HSET', keys[2], args[2], 'VOID ' .. integer(clock(args[3])))
  return 'VOID'
end

-- periscope_discard: delete threats of a partition that was left behind.
-- Why: in steps that delay nobody; who is killed between two of them finds the rest in the set.
-- KEYS: meta, set, pair...
-- ARGV: move, id...
-- Returns: how many are left in the set
local function discard(keys, args)
  movers_own(keys[1], args[1])
  redis.call('ZCARD', keys[2])
  -- first write
  redis.call('UNLINK', unpack(keys, 3))
  redis.call('ZREM', keys[2], unpack(args, 2))
  return redis.call('ZCARD', keys[2])
end

-- periscope_discard_rest: delete what a partition that was left behind has beside threats.
-- Why: its fence stays for `keep_ms`: a program that was just about to open it must not make it anew.
-- KEYS: singles..., noise...
-- ARGV: move, keep_ms
-- Returns: 1, or 0 if there is nothing of it
local function discard_rest(keys, args)
  if redis.call('EXISTS', keys[1]) == 0 then
    return 0
  end
  movers_own(keys[1], args[1])
  -- first write
  redis.call('UNLINK', unpack(keys, 2))
  redis.call('PEXPIRE', keys[1], args[2])
  return 1
end

Move.own = movers_own

redis.register_function('periscope_move', move)
redis.register_function('periscope_fence', fence)
redis.register_function{function_name = 'periscope_hold', callback = hold, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_unfence', callback = unfence, flags = {'allow-oom'}}
redis.register_function('periscope_open', open)
redis.register_function{function_name = 'periscope_resolve_fenced', callback = resolve_fenced,
  flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_discard', callback = discard, flags = {'allow-oom'}}
redis.register_function{function_name = 'periscope_discard_rest', callback = discard_rest,
  flags = {'allow-oom'}}
