-- Taking back: an analyst's own last act on a threat, within ten minutes, while the threat is where it
-- was then.

local JUDGED = {decide = true, reopen = true, snooze = true}

-- The status as it was before the act, if nobody has decided it since; what a raise or the counts say
-- since then holds.
local function restore_status(desk, state, memo, before)
  local header, after = state.header, unpack_header(memo[7])
  local undecided = Desk.status_revision(state) <= after.revision
  if undecided and memo[1] == 'escalate' then
    mark(header, FLAG_ESCALATED, has(before[7], FLAG_ESCALATED))
  end
  if undecided and header.status == after.status then
    header.status, header.status_severity, header.outcome = before[1], before[2], before[3]
    header.entered = before[8] or header.entered
  end
  if Moves.is_raised(header) then
    Moves.reopen(header, desk.now)
  elseif header.status == DISMISSED and header.dismissals <= header.escalations then
    Moves.set_status(header, OPEN, desk.now)
  end
end

-- The latch as it was, if nothing followed; else what the counts that are left say.
local function restore_latch(desk, state, nothing_followed, before)
  local header, rules = state.header, desk.rules
  if nothing_followed then
    Desk.latch(state, before[5] ~= '' and tonumber(before[5]) or nil)
  elseif header.status ~= OPEN or not Moves.is_eligible(header, rules, header.last_activity) then
    Desk.latch(state, nil)
  elseif state.latch then
    Desk.latch(state, Score.of(rules, header, header.last_activity))
  end
end

local function take_counts_back(state, memo, before)
  local header, verb, analyst = state.header, memo[1], memo[2]
  if not JUDGED[verb] then
    header.interactions = math.max(0, header.interactions - 1)
    local count = Verbs.count_of(verb)
    if count then
      header[count] = math.max(0, header[count] - 1)
    end
    if Desk.last_act(state, analyst)[1] == 1 then
      header.analysts = math.max(0, header.analysts - 1)
    end
  end
  Desk.set_field(state, analyst, before[6] ~= '' and before[6])
end

-- Has the threat been somewhere else since? What never left level 1 has no home and was first seen as it was:
-- its `entered` tells of a snooze only. What was recalled may have gone home and come back, which nothing but
-- `entered` tells.
local function has_moved(header, after)
  local never_left = header.level == LEVEL_WORKING and header.home == 0
  return header.level ~= after.level or header.home ~= after.home or header.first_seen ~= after.first_seen
    or (header.level ~= LEVEL_LONG and not never_left and header.entered ~= after.entered)
end

-- Why this act cannot be taken back, or nil.
local function obstacle(desk, state, act, memo)
  if not memo then
    return 'UNKNOWN'
  elseif memo[2] ~= act.analyst or memo[3] ~= act.id
    or not (JUDGED[memo[1]] or Verbs.is_interaction(memo[1])) then
    return 'NOT_LAST'
  elseif desk.now - memo[6] > desk.rules.undo_within or not state then
    return 'TOO_LATE'
  end
  local after = unpack_header(memo[7])
  if has_moved(state.header, after) or (memo[1] == 'decide' and Moves.is_true_positive(after.outcome)) then
    return 'TOO_LATE'
  end
  local last = Desk.last_act(state, act.analyst)
  return not (last and last[4] == act.request) and 'NOT_LAST' or nil
end

-- undo of the analyst's own last act on the threat: `request` is that act's.
function Undo.undo(desk, state, act)
  local memo = Desk.remembered(desk, '.' .. act.request)
  local why_not = obstacle(desk, state, act, memo)
  if why_not then
    return {code = why_not}
  end
  local header, before = state.header, memo[8]
  local nothing_followed = header.revision == unpack_header(memo[7]).revision
  take_counts_back(state, memo, before)
  restore_status(desk, state, memo, before)
  if nothing_followed then
    header.last_activity = before[4]
  end
  restore_latch(desk, state, nothing_followed, before)
  local level = header.level
  Moves.judge_again(state, desk.rules, desk.now)
  Desk.changed(state)
  act.told = cjson.encode({undone = memo[1]})
  Desk.tell(desk, 'undo', state, act, memo[1])
  if header.level > level then
    Desk.tell(desk, 'promotion', state, act)
  end
  return {code = 'DONE', extra = memo[1]}
end
