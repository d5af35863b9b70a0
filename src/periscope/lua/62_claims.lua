-- Claims: one analyst has one threat for a while. The claim stands in the threat's analysts hash under
-- the empty name, its end in the claims key as well: so expiry needs nobody, and a walk passes over it.

local CLAIM = ''

-- The claim on a threat that holds at `now`: {until, lease, token, holder}; nil if nobody has it.
function Claims.on(state, now)
  local packed = Desk.field(state, CLAIM)
  local claim = packed and cmsgpack.unpack(packed)
  return claim and claim[1] > now and claim or nil
end

-- Does somebody other than `analyst` hold the threat?
function Claims.is_anothers(state, analyst, now)
  local claim = Claims.on(state, now)
  return claim ~= nil and claim[4] ~= analyst
end

local function set(state, claim)
  Desk.set_field(state, CLAIM, cmsgpack.pack(claim))
  state.claim_end = integer(claim[1])
end

function Claims.drop(state)
  if Desk.field(state, CLAIM) then
    Desk.set_field(state, CLAIM, false)
    state.claim_end = ''
  end
end

-- The holder's interactions renew the lease.
function Claims.renew(state, analyst, now)
  local claim = Claims.on(state, now)
  if claim and claim[4] == analyst then
    claim[1] = math.max(claim[1], now + claim[2])
    set(state, claim)
  end
end

local function next_token(desk)
  desk.token = (desk.token or tonumber(redis.call('HGET', desk.keys.meta, 'token') or '0')) + 1
  return desk.token
end

local function told(claim)
  return {claim[1], claim[3], claim[4]}
end

local function grant(desk, state, act, lease)
  local claim = {desk.now + lease, lease, next_token(desk), act.analyst}
  set(state, claim)
  return {code = 'DONE', extra = told(claim)}
end

-- claim, with args lease_ms; the holder gets the same claim again, with at least this lease to run.
function Claims.claim(desk, state, act)
  local lease, claim = act.args[1], Claims.on(state, desk.now)
  if state.header.level ~= LEVEL_WORKING then
    return {code = 'ELSEWHERE'}
  elseif not claim then
    Desk.tell(desk, 'claim', state, act)
    return grant(desk, state, act, lease)
  elseif claim[4] ~= act.analyst then
    return {code = 'CLAIMED', extra = told(claim)}
  end
  claim[1], claim[2] = math.max(claim[1], desk.now + lease), lease
  set(state, claim)
  return {code = 'DONE', extra = told(claim)}
end

-- takeover, with args lease_ms: whoever held it loses it, on record.
function Claims.takeover(desk, state, act)
  local claim = Claims.on(state, desk.now)
  if state.header.level ~= LEVEL_WORKING then
    return {code = 'ELSEWHERE'}
  elseif not claim or claim[4] == act.analyst then
    return Claims.claim(desk, state, act)
  end
  act.told = cjson.encode({from = claim[4]})
  Desk.tell(desk, 'takeover', state, act, claim[4])
  return grant(desk, state, act, act.args[1])
end

-- next, with args lease_ms: as claim, but only what is open and nobody has, not even this analyst.
function Claims.next(desk, state, act)
  if state.header.status ~= OPEN then
    return {code = 'ELSEWHERE'}
  end
  local claim = Claims.on(state, desk.now)
  if claim then
    return {code = 'CLAIMED', extra = told(claim)}
  end
  return Claims.claim(desk, state, act)
end

-- release, with args token (-1: whatever claim the analyst has).
function Claims.release(desk, state, act)
  local claim, token = Claims.on(state, desk.now), act.args[1]
  if not claim or claim[4] ~= act.analyst or (token ~= -1 and claim[3] ~= token) then
    return {code = 'NOT_HELD'}
  end
  Claims.drop(state)
  Desk.tell(desk, 'release', state, act)
  return {code = 'DONE'}
end

-- Collect the change of the claims key.
function Claims.collect(writes, state)
  if state.claim_end == '' then
    Index.remove(writes, 'claims', state.id)
  elseif state.claim_end then
    Index.add(writes, 'claims', state.claim_end, state.id)
  end
end
