-- The moves of DESIGN 2 on a header: up (promote), back to work (recall), home (settle), out (expiry).
-- Nothing here reads or writes the store.

-- Outcomes: 1 and 2 true positive, 3 benign, 4 and 5 false positive, 6 duplicate, 7 inconclusive.
function Moves.is_true_positive(outcome)
  return outcome == 1 or outcome == 2
end

-- An outcome of false positive or benign withdraws the validation, for as long as it stands.
function Moves.is_withdrawn(header)
  return header.outcome >= 3 and header.outcome <= 5
end

function Moves.is_validated(header, rules)
  return header.escalations >= rules.validated_escalations and not Moves.is_withdrawn(header)
end

local function is_protected(header, rules)
  return not Moves.is_withdrawn(header) and (Moves.is_validated(header, rules)
    or header.consolidations >= rules.protected_consolidations)
end

-- Level 1 to 2: is the threat eligible at `now`, the moment of an interaction?
function Moves.is_eligible(header, rules, now)
  return header.analysts >= rules.promote_analysts
    and (header.escalations >= rules.promote_escalations or header.severity >= 2)
    and Score.of(rules, header, now) >= rules.promote_score
end

local function rises(header, rules)
  return header.confidence >= rules.long_confidence
    and header.consolidations >= rules.long_consolidations and Moves.is_validated(header, rules)
end

-- `entered` of a snoozed threat is when its snooze ends, 0 if only a raise ends it; of all others when they
-- came where they are. These two, and the act itself, are where it turns from one into the other.

-- Set another status. What was snoozed is at work anew from `now` on: it neither expires nor settles at once.
function Moves.set_status(header, status, now)
  if header.status == SNOOZED then
    header.entered = now
  end
  header.status, header.status_severity = status, status == OPEN and 0 or header.severity
end

-- Snooze until `ends` (0: only until a raise), which is measured from the severity as it is now.
function Moves.snooze(header, ends)
  header.status, header.status_severity, header.entered = SNOOZED, header.severity, ends
end

-- The moment at which a snoozed threat wakes by itself; nil if it does not.
function Moves.wakes_at(header)
  return header.status == SNOOZED and header.entered > 0 and header.entered or nil
end

-- Has a threat that was set aside become worse since?
function Moves.is_raised(header)
  return header.status ~= OPEN and header.severity > header.status_severity
end

-- Open what was set aside, as it was raised: its outcome no longer holds. (A snooze decides nothing, so an
-- outcome from before it stands.)
function Moves.reopen(header, now)
  header.outcome = header.status == SNOOZED and header.outcome or 0
  Moves.set_status(header, OPEN, now)
end

-- Put a threat into level 2 or 3, at `now`.
local function enter(state, level, rules, now)
  local header = state.header
  header.level, header.home, header.entered = level, 0, now
  state.age, state.latch = nil, nil
  mark(header, FLAG_LATCHED, false)
  mark(header, FLAG_ESCALATED, false)
  mark(header, FLAG_PROTECTED, level == LEVEL_LONG and is_protected(header, rules))
end

-- Promote from level 1 with this score: to level 2, or to 3 where that is home or the rule holds.
-- Returns whether it counts as a consolidation (the first promotion does not).
function Moves.promote(state, rules, score, now)
  local header = state.header
  local again = header.consolidations > 0
  if not again or now - header.consolidated >= rules.consolidation_interval then
    header.consolidations, header.consolidated = math.min(65535, header.consolidations + 1), now
  end
  header.confidence = math.max(header.confidence, score)
  local level = math.max(header.home, LEVEL_SHORT)
  enter(state, rises(header, rules) and LEVEL_LONG or level, rules, now)
  return again
end

-- Back to work. Status is of level 1: it begins anew, but what was judged false stays set aside
-- until it is raised (`opens` forces it open).
function Moves.recall(state, now, opens)
  local header = state.header
  header.home, header.level, header.entered = header.level, LEVEL_WORKING, now
  state.age = nil
  mark(header, FLAG_ESCALATED, false)
  mark(header, FLAG_PROTECTED, false)
  if opens or not Moves.is_withdrawn(header) then
    header.status, header.status_severity = OPEN, 0
  end
end

-- Home again: no promotion and no consolidation.
function Moves.settle(state, rules, now)
  enter(state, state.header.home, rules, now)
end

-- After an outcome was given or withdrawn in level 2 or 3.
function Moves.judge_again(state, rules, now)
  local header = state.header
  if header.level == LEVEL_SHORT and rises(header, rules) then
    enter(state, LEVEL_LONG, rules, now)
  elseif header.level == LEVEL_LONG then
    local was, is = has(header.flags, FLAG_PROTECTED), is_protected(header, rules)
    if was and not is then      -- decays from now on; its time to live began when it entered
      state.age, header.entered = header.entered, now
    elseif is then
      header.entered, state.age = state.age or header.entered, nil
    end
    mark(header, FLAG_PROTECTED, is)
  end
end

-- When the response to a threat is due.
function Moves.due(header, rules)
  return header.first_seen + rules.targets[header.severity]
end

-- When a level 1 threat expires; nil for never. Claims and latches are the caller's to see to.
local function end_of_work(header, rules)
  local quiet = math.max(header.last_activity, header.entered) + rules.working_ttl
  if header.status ~= OPEN then
    return quiet
  elseif header.severity >= 2 then
    return (header.dismissals > 0 or header.outcome > 0) and quiet or nil
  elseif header.interactions == 0 then
    return math.max(quiet, Moves.due(header, rules))
  end
  return quiet
end

-- What time has done to a threat: 'expired', 'settled', or nil. `age` is of level 3: see Index.
function Moves.overtaken(header, rules, age, now)
  local ends
  if header.level == LEVEL_SHORT then
    ends = header.entered + rules.short_ttl
  elseif header.level == LEVEL_LONG then
    ends = not has(header.flags, FLAG_PROTECTED) and (age or header.entered) + rules.long_ttl or nil
  elseif header.status == SNOOZED or has(header.flags, FLAG_LATCHED) then
    return nil
  elseif header.home ~= 0 then
    ends = math.max(header.last_activity, header.entered) + rules.settle_after
    return now >= ends and 'settled' or nil
  else
    ends = end_of_work(header, rules)
  end
  return ends and now >= ends and 'expired' or nil
end
