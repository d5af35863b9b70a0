-- What is noise to this database: suppression rules and warninglists, kept beside the control key. The
-- functions know no rule and no list: programs judge reports, and the index is opaque to the server.

local PIECE = 'p:'           -- a field that holds a piece of a warninglist; the rest is its digest

-- The revision; refuses whoever would write to a database that is being moved, or has moved away.
local function writable_revision(control, noise, move)
  local state = redis.call('HMGET', control, 'move', 'moved_to')
  if (state[1] or '') ~= move and (move ~= '' or state[1]) then
    refuse('MOVING', 'is being repartitioned or rebuilt; change rules and lists when that is done')
  elseif state[2] then
    refuse('MOVING', 'has moved to another server; open it there')
  end
  local revision = tonumber(redis.call('HGET', noise, 'revision') or '0')
  if not revision then
    refuse('DAMAGED', 'the revision of the suppression rules is no number')
  end
  return revision
end

-- periscope_noise_piece: keep a piece of a warninglist for the commit that will name it.
-- Why: a list of a million names in one call would stop the server for everybody.
-- KEYS: control, noise
-- ARGV: move, expected_revision, name, bytes
-- Returns: {'SET' | 'CHANGED', revision}. A piece is named after its contents; one that no index names goes
--   with the next commit. `move` is '', but for the program that moves the database
local function noise_piece(keys, args)
  local revision = writable_revision(keys[1], keys[2], args[1])
  if revision ~= tonumber(args[2]) then
    return {'CHANGED', revision}
  end
  -- first write
  redis.call('HSET', keys[2], PIECE .. args[3], args[4])
  return {'SET', revision}
end

-- The set of the pieces that an index names; nil where one of them is not here.
local function named_pieces(noise, args)
  local named = {}
  for position = 4, #args do
    local field = PIECE .. args[position]
    if redis.call('HEXISTS', noise, field) == 0 then
      return nil
    end
    named[field] = true
  end
  return named
end

-- periscope_noise_commit: replace rules and lists if nobody else did meanwhile.
-- Why: two people who change them at once must not undo each other; programs look at the revision alone. It is
--   the server's time, so that one which a failover lost does not come again for something else.
-- KEYS: control, noise
-- ARGV: move, expected_revision, index, piece...
-- Returns: {'SET' | 'CHANGED' | 'INCOMPLETE', revision}. INCOMPLETE: a piece that is named is not here (it was
--   lost in a failover). Pieces that are not named are deleted
local function noise_commit(keys, args)
  local revision = writable_revision(keys[1], keys[2], args[1])
  if revision ~= tonumber(args[2]) then
    return {'CHANGED', revision}
  end
  local named = named_pieces(keys[2], args)
  if not named then
    return {'INCOMPLETE', revision}
  end
  local gone = {}
  for _, field in ipairs(redis.call('HKEYS', keys[2])) do
    if string.sub(field, 1, #PIECE) == PIECE and not named[field] then
      gone[#gone + 1] = field
    end
  end
  revision = math.max(revision + 1, clock(''))
  -- first write
  redis.call('HSET', keys[2], 'revision', integer(revision), 'index', args[3])
  for _, field in ipairs(gone) do
    redis.call('HDEL', keys[2], field)
  end
  return {'SET', revision}
end

-- A full server must still let go of a list, or of a rule: an index is small.
redis.register_function('periscope_noise_piece', noise_piece)
redis.register_function{function_name = 'periscope_noise_commit', callback = noise_commit,
  flags = {'allow-oom'}}
