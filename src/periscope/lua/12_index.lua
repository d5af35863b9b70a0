-- The indexes of a threat: every place it has in a sorted set, as a function of its header alone.
-- Whoever changes a header takes the places before and after, and writes the difference: so no index
-- can forget a change, and the deep ledger can check each of them.

local RANGE_OF_AGE = 64      -- keeps the sort key of what decays above zero: bytes sort as the number
local LEAST_CONFIDENCE = 1e-9
local MOST_INDUSTRIES, LONGEST_INDUSTRY = 8, 64
local MOST_LOOKED_AT, LONGEST_LOOKED_AT = 64, 256 -- of a list, and bytes of a name: feeds are hostile
local VALUES_OF_A_CALL = 2000

-- Classes of exceptions: 0 to 3 unseen with sightings, by severity; then these. The last is no sweep's.
Index.SET_ASIDE, Index.RECALLED, Index.SNOOZED = 4, 5, 6

-- Class and moment of a level 1 threat whose end the board cannot tell (DESIGN 2); nil for most.
local function exception(header)
  if header.status == SNOOZED then
    return Moves.wakes_at(header) and Index.SNOOZED, header.entered
  elseif header.home ~= 0 then
    return Index.RECALLED, math.max(header.last_activity, header.entered)
  elseif header.status ~= OPEN then
    return nil
  elseif header.interactions == 0 then
    if header.last_activity ~= header.first_seen then
      return header.severity, header.first_seen
    end
  elseif header.severity >= 2 and header.dismissals > 0 then
    return Index.SET_ASIDE, header.last_activity
  end
end

-- Its place among the exceptions, false for most.
function Index.exception_place(header)
  local class, moment = exception(header)
  return class and class * SPAN + moment or false
end

-- Confidence (or any number from 0 up), last activity and id as bytes that sort like the three.
local function sorted(number, header, id)
  return struct.pack('>d', number) .. struct.pack('>I6', header.last_activity) .. id
end

-- The order of what decays, which decay does not change: log confidence plus rate times entry time.
local function decay_order(rules, header)
  return math.log(math.max(header.confidence, LEAST_CONFIDENCE)) + rules.decay_rate * header.entered
    + RANGE_OF_AGE
end

-- Confidence now, from the sort key of `decay_order` (DESIGN 2: closed form, never written back).
function Index.decayed(rules, header, now)
  local days = math.max(0, now - header.entered) / 86400000
  return math.max(rules.decay_floor, header.confidence * rules.decay_per_day ^ days)
end

-- The names of industries in a report's metadata: `industry` or `industries`, text or a list.
local function names_in(metadata)
  local names = {}
  for _, field in ipairs({'industry', 'industries'}) do
    local value = metadata[field]
    if type(value) == 'string' then
      names[#names + 1] = value
    elseif type(value) == 'table' then
      for position = 1, math.min(#value, MOST_LOOKED_AT) do
        names[#names + 1] = type(value[position]) == 'string' and value[position] or ''
      end
    end
  end
  return names
end

-- Industries of a body, in lower case, bounded; '' (all threats) is the first of them.
function Index.industries(body)
  local read, report = pcall(cjson.decode, body)
  local metadata = read and type(report) == 'table' and report.metadata
  local found, known = {''}, {[''] = true}
  for _, name in ipairs(type(metadata) == 'table' and names_in(metadata) or {}) do
    name = #name <= LONGEST_LOOKED_AT and string.lower(string.match(name, '^%s*(.-)%s*$')) or ''
    if not known[name] and #name <= LONGEST_INDUSTRY and not string.find(name, '%c')
      and #found <= MOST_INDUSTRIES then
      found[#found + 1], known[name] = name, true
    end
  end
  return found
end

local function long_members(rules, header, id, industries)
  local order = has(header.flags, FLAG_PROTECTED)
    and 'P' .. sorted(header.confidence, header, id)
    or 'F' .. sorted(decay_order(rules, header), header, id)
  local members = {}
  for position, industry in ipairs(industries) do
    members[position] = industry .. '\0' .. order
  end
  return members
end

-- Industries of a threat of level 3, read from its report when they are first asked for.
local function industries_of(state)
  state.industries = state.industries
    or Index.industries(redis.call('GETRANGE', state.key, HEADER_BYTES, -1))
  return state.industries
end

-- All places of a threat, as numbers; false for none. `state` has header, id, key; for level 3 the age (when its
-- time to live began), for a latched one the score.
function Index.places(rules, state)
  local header, id = state.header, state.id
  local places = {promotable = has(header.flags, FLAG_LATCHED) and state.latch or false,
    board = false, exceptions = false, short = false, long = false, members = false, of = false}
  if header.level == LEVEL_WORKING then
    places.board, places.exceptions = board_place(rules, header), Index.exception_place(header)
  elseif header.level == LEVEL_SHORT then
    places.short = header.entered
    places.members, places.of = {sorted(header.confidence, header, id)}, 'short_rank'
  else
    places.long = has(header.flags, FLAG_PROTECTED) and math.huge or state.age or header.entered
    places.members = long_members(rules, header, id, industries_of(state))
    places.of = 'long_rank'
  end
  return places
end

-- The places before a change, as far as `Index.renew` and `Index.change` need them: for level 1, whose place
-- on the board every change moves, less than all of them.
function Index.places_before(rules, state)
  local header = state.header
  if header.level ~= LEVEL_WORKING then
    return Index.places(rules, state)
  end
  return {board = true, exceptions = Index.exception_place(header),
    promotable = has(header.flags, FLAG_LATCHED) and state.latch or false}
end

-- What the indexes need to know of a threat beside its header.
function Index.load(keys, state, record_key)
  local header = state.header
  state.key = record_key
  if header.level < LEVEL_WORKING or header.level > LEVEL_LONG then
    refuse('DAMAGED', 'a record is in a level that this library does not know')
  end
  if has(header.flags, FLAG_LATCHED) then
    state.latch = redis.call('ZSCORE', keys.promotable, state.id)
  end
  if header.level == LEVEL_LONG then
    if not has(header.flags, FLAG_PROTECTED) then
      state.age = tonumber(redis.call('ZSCORE', keys.long, state.id) or header.entered)
    end
  end
end

-- Collected changes of indexes: for each key what to add and what to remove.
function Index.writes()
  return {adds = {}, removes = {}}
end

local function list_of(lists, key)
  local list = lists[key]
  if not list then
    list = {}
    lists[key] = list
  end
  return list
end

-- One place to add.
function Index.add(writes, key, place, member)
  local list = list_of(writes.adds, key)
  local size = #list
  list[size + 1], list[size + 2] = place, member
end

-- One member to remove.
function Index.remove(writes, key, member)
  local list = list_of(writes.removes, key)
  list[#list + 1] = member
end

local BY_ID = {'board', 'exceptions', 'promotable', 'short', 'long'}
local NOWHERE = {}

-- A place as the server takes it: a latch's score comes as text already. Numbers go as they are: the server
-- writes all 17 digits of an argument, three times as fast as string.format.
local function as_text(place)
  return place == math.huge and 'inf' or place
end

local function change_members(writes, before, after)
  local same = before.members and after.members and before.of == after.of
    and table.concat(before.members) == table.concat(after.members)
  if not same then
    for _, member in ipairs(before.members or NOWHERE) do
      Index.remove(writes, before.of, member)
    end
    for _, member in ipairs(after.members or NOWHERE) do
      Index.add(writes, after.of, '0', member)
    end
  end
end

-- Collect what turns the places `before` (nil for none) into those `after` (nil for none).
function Index.change(writes, id, before, after)
  before, after = before or NOWHERE, after or NOWHERE
  for _, key in ipairs(BY_ID) do
    if after[key] and after[key] ~= before[key] then
      Index.add(writes, key, as_text(after[key]), id)
    elseif before[key] and not after[key] then
      Index.remove(writes, key, id)
    end
  end
  if before.members or after.members then
    change_members(writes, before, after)
  end
end

-- Collect what turns one place into another, false being none.
function Index.renew_place(writes, key, id, before, after)
  if after and after ~= before then
    Index.add(writes, key, after, id)
  elseif before and not after then
    Index.remove(writes, key, id)
  end
end

-- Collect what turns `state.before`, of `Index.places_before`, into the places of the header as it is now.
-- A threat that was and is in level 1, as most, needs no tables for it.
function Index.renew(writes, rules, state)
  local header, before = state.header, state.before
  if header.level ~= LEVEL_WORKING or not before.board then
    return Index.change(writes, state.id, before, Index.places(rules, state))
  end
  Index.add(writes, 'board', board_place(rules, header), state.id)
  Index.renew_place(writes, 'exceptions', state.id, before.exceptions, Index.exception_place(header))
  Index.renew_place(writes, 'promotable', state.id, before.promotable,
    has(header.flags, FLAG_LATCHED) and state.latch or false)
end

local function run(command, key, values)
  for first = 1, #values, VALUES_OF_A_CALL do
    redis.call(command, key, unpack(values, first, math.min(#values, first + VALUES_OF_A_CALL - 1)))
  end
end

-- Write what was collected; removals first, since a rank's member may be both.
function Index.flush(keys, writes)
  for name, members in pairs(writes.removes) do
    run('ZREM', keys[name], members)
  end
  for name, places in pairs(writes.adds) do
    run('ZADD', keys[name], places)
  end
end
