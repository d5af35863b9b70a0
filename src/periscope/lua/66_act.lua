-- The function that analysts' acts go through, whatever they are.

local REPLY_KEPT_MS = '600000'
local MARK_KEPT_MS = '30000'  -- of a chunk whose acts answer for themselves when they come again
local NO_EXTRA = '\160'      -- the empty text in msgpack
local KEYS_OF_A_CALL = 1000

-- An act as it came: verb, analyst, request, and what else the verb takes. Older programs send an array.
local function read_act(packed, key, analysts_key, prefix_length)
  local verb, analyst, request, more = cmsgpack.unpack(packed)
  if type(verb) == 'table' then
    verb, analyst, request, more = unpack(verb)
  end
  local packed_verb = Verbs.packed(verb)
  if not packed_verb then
    refuse('BAD_CALL', 'an act that this library does not know')
  end
  return {verb = verb, analyst = analyst, request = request, args = more, key = key,
    analysts_key = analysts_key, id = string.sub(key, prefix_length + 1),
    field = Verbs.field_of(verb, request), packed_verb = packed_verb,
    packed_analyst = Desk.pack_text(analyst), packed_request = Desk.pack_text(request)}
end

-- The acts, and how many there are on each record.
local function read_acts(keys, args, own)
  local acts, counts, length = {}, {}, #record_prefix(keys[1])
  for position = 5, #args do
    local at = own + 2 * (position - 5)
    local key = keys[at]
    acts[position - 4] = read_act(args[position], key, keys[at + 1], length)
    counts[key] = (counts[key] or 0) + 1
  end
  return acts, counts
end

-- What is remembered of each act; false for those of which nothing is.
local function read_memos(desk, acts)
  local fields = {}
  for position, act in ipairs(acts) do
    fields[position] = act.field
  end
  return Memory.find_all(desk.keys, desk.seen, fields)
end

-- The records of all acts, without their reports unless they are wanted; false or '' for those that are not
-- there. One command for all of them, where reports are read anyway.
local function read_records(acts, full)
  local records = {}
  if not full then
    for position, act in ipairs(acts) do
      records[position] = redis.call('GETRANGE', act.key, 0, HEADER_BYTES - 1)
    end
    return records
  end
  for first = 1, #acts, KEYS_OF_A_CALL do
    local names = {}
    for position = first, math.min(#acts, first + KEYS_OF_A_CALL - 1) do
      names[#names + 1] = acts[position].key
    end
    for offset, record in ipairs(redis.call('MGET', unpack(names))) do
      records[first + offset - 1] = record
    end
  end
  return records
end

-- With `first`, one act is wanted, on the first threat that allows it.
local function already_done(acts, memos)
  for position in ipairs(acts) do
    if memos[position] then
      return position
    end
  end
end

local SKIPPED = {code = 'SKIPPED'}

local function carry_out(desk, acts, counts, first, records)
  local replies, memos = {}, read_memos(desk, acts)
  local done = first and already_done(acts, memos)
  for position, act in ipairs(acts) do
    if done and done ~= position then
      replies[position] = SKIPPED
    else
      local reply = Desk.carry_out(desk, act, memos[position], records[position], counts[act.key] == 1)
      replies[position] = reply
      done = first and (reply.code == 'DONE' or reply.code == 'AGAIN') and position or done
    end
  end
  return replies
end

-- The report of an act's threat, if the reply has its header.
local function body_of(act, reply, record)
  if not reply.header or reply.header == '' then
    return ''
  end
  return record and string.sub(record, HEADER_BYTES + 1)
    or redis.call('GETRANGE', act.key, HEADER_BYTES, -1)
end

local function packed_extra(reply)
  return reply.extra and cmsgpack.pack(reply.extra) or NO_EXTRA
end

-- Replies with records: {code, extra, header, body, moment} each.
local function pack_full(acts, replies, records, now)
  local packed = {}
  for position, reply in ipairs(replies) do
    packed[position] = {reply.code, packed_extra(reply), reply.header or '',
      body_of(acts[position], reply, records[position]), reply.at or now}
  end
  return packed
end

-- The same in one array, and instead of the report the record as it was read: nothing is made but the array.
local function pack_flat(replies, records, now)
  local packed, at = {}, 0
  for position, reply in ipairs(replies) do
    packed[at + 1], packed[at + 2], packed[at + 3] = reply.code, packed_extra(reply), reply.header or ''
    packed[at + 4], packed[at + 5] = records[position] or '', reply.at or now
    at = at + 5
  end
  return packed
end

-- Replies as they travel; without records only the words.
local function pack(acts, replies, full, records, now)
  if full == '2' then
    return pack_flat(replies, records, now)
  elseif full == '1' then
    return pack_full(acts, replies, records, now)
  end
  local words = {}
  for position, reply in ipairs(replies) do
    words[position] = reply.code
  end
  return words
end

-- Words as {word, count, ...}: most chunks have one.
local function runs_of(words)
  local runs = {}
  for _, word in ipairs(words) do
    if runs[#runs - 1] == word then
      runs[#runs] = runs[#runs] + 1
    else
      table.insert(runs, word)
      table.insert(runs, 1)
    end
  end
  return runs
end

-- The reply to a chunk that was carried out before.
local function remembered(packed)
  local now, runs = unpack(cmsgpack.unpack(packed))
  local words = {}
  for position = 1, #runs, 2 do
    for _ = 1, runs[position + 1] do
      words[#words + 1] = runs[position]
    end
  end
  return {now, words}
end

-- Let the next chunk know that this one was carried out. One whose acts are full is not answered again as
-- a whole: each of its acts is remembered, and this key only says that it was here.
local function leave_reply(reply, full, now, packed)
  if full == '0' then
    redis.call('SET', reply, cmsgpack.pack({now, runs_of(packed)}), 'PX', REPLY_KEPT_MS)
  elseif full == '2' then
    redis.call('SET', reply, '-', 'PX', MARK_KEPT_MS)
  end
end

-- Refuse a chunk whose predecessor was refused, that is wrong, or that this user may not write.
local function check(keys, args, reply, before, own)
  if before ~= reply and redis.call('EXISTS', before) == 0 then
    refuse('OUT_OF_ORDER', 'the chunk before this one was refused')
  end
  if (#keys - own + 1) / 2 ~= #args - 4 then
    refuse('BAD_CALL', 'the arguments do not fit the keys')
  end
  if not redis.acl_check_cmd('SET', reply, '', 'PX', '1') then
    refuse('NOPERM', 'acts need the write commands that docs/how-to/own-server.md lists')
  end
end

-- periscope_act: carry out analysts' acts on threats of one partition, in the order given.
-- Why: counts, status, claims, eligibility, indexes, audit and events change together or not at all.
-- KEYS: singles..., reply, before, pair...
-- ARGV: policy, now_ms, full, first, act...
-- Returns: {now_ms, {reply, ...}}; a reply is a word, or with `full` {word, extra, header, body, at}; if that
--   is 2, word, extra, header, record, at in one array, the record with the header as it was. Words:
--   DONE, AGAIN (done before: the first reply), UNKNOWN, CLAIMED, NOT_HELD, TOO_LATE, NOT_LAST,
--   CONFLICT (the id is another act's), NOT_REMOVED, ELSEWHERE, SKIPPED, and of a snooze PAST, TOO_FAR (when
--   it ends), CLOSED. A pair is a threat's record
--   and analysts keys; an act is verb, analyst, request and what else it takes, in msgpack one behind the
--   other. With `first` acts are tried until one is done. `before` and `reply` are as in
--   periscope_ingest_3; `full` is 0 (only words), 1 (with records), 2 (with records, and another chunk may
--   follow). With records the chunk is carried out again when it comes again: each act remembers for itself.
local function act(keys, args)
  local named, full = partition_keys(keys), args[3]
  local reply, before, own = keys[named.first], keys[named.first + 1], named.first + 2
  local earlier = full == '0' and redis.call('GET', reply)
  if earlier then
    return remembered(earlier)
  end
  check(keys, args, reply, before, own)
  local desk = Desk.open(named, Desk.check(named, keys, own), args[1], args[2])
  local acts, counts = read_acts(keys, args, own)
  local first = args[4] == '1'
  local records = first and {} or read_records(acts, full ~= '0')
  local replies = carry_out(desk, acts, counts, first, records)
  local audit, packed = Desk.audit_payload(desk), pack(acts, replies, full, records, desk.now)
  -- first write
  Desk.write(desk, audit)
  leave_reply(reply, full, desk.now, packed)
  return {desk.now, packed}
end

redis.register_function('periscope_act', act)
