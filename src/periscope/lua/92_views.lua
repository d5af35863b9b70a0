-- Saved views of a console: who looks at what, under which name. One hash, bounded; a view's id begins with what
-- stands for its owner, and what is stored begins with its revision and the ms of its change.

local MOST_VIEWS = 1000
local MOST_OF_ONE = 100      -- owner
local VIEW_BYTES = 16384
local ID_BYTES = 64

local function revision_of(stored)
  local revision, changed, text = string.match(stored, '^(%d+) (%d+) (.*)$')
  if not revision then
    refuse('DAMAGED', 'a saved view cannot be read')
  end
  return tonumber(revision), tonumber(changed), text
end

-- The word that says why there is no room for one view more; nil if there is.
local function fullness(views, id)
  local ids, owner, own = redis.call('HKEYS', views), string.match(id, '^%x+%-'), 0
  for _, one in ipairs(ids) do
    own = own + (string.sub(one, 1, #owner) == owner and 1 or 0)
  end
  if #ids >= MOST_VIEWS then
    return 'FULL'
  end
  return own >= MOST_OF_ONE and 'FULL_OWN' or nil
end

-- periscope_view_put: save, change or remove a view, if nobody else has changed it meanwhile.
-- Why: two people may look after a shared view, and there are bounds to how many there are.
-- KEYS: control, views
-- ARGV: id, expected_revision, view, now_ms
-- Returns: {'SET' | 'CHANGED' | 'GONE' | 'FULL' | 'FULL_OWN', revision, changed_ms}; revision 0 is expected of a new
--   one; an empty view removes it. What is stored already is SET, whatever was expected
local function view_put(keys, args)
  Move.refuse_carried(keys[1])
  local id, expected, text, now = args[1], tonumber(args[2]), args[3], clock(args[4])
  if not (expected and #args[1] <= ID_BYTES and string.find(id, '^%x+%-%x+$')) or #text > VIEW_BYTES then
    refuse('BAD_CALL', 'a view that is none')
  end
  local stored, word = redis.call('HGET', keys[2], id), nil
  local revision, changed, before = 0, 0, ''
  if stored then
    revision, changed, before = revision_of(stored)
  end
  if stored and before == text then
    return {'SET', revision, changed}
  elseif not stored then
    word = expected ~= 0 and 'GONE' or fullness(keys[2], id)
  elseif expected ~= revision then
    word = 'CHANGED'
  end
  if word then
    return {word, revision, changed}
  end
  revision = math.max(revision + 1, now)
  -- first write
  if text == '' then
    redis.call('HDEL', keys[2], id)
  else
    redis.call('HSET', keys[2], id, integer(revision) .. ' ' .. integer(now) .. ' ' .. text)
  end
  return {'SET', revision, now}
end

redis.register_function('periscope_view_put', view_put)
