-- Append a batch. ARGV: number of the batch, the batch (msgpack): units, each a list of entries that are kept all or none.
-- Answers: ok with the outcomes (msgpack), what other hubs appended, and 1 if that is not all; done with the outcomes of a
-- batch that ran before; stale.
-- Nothing can fail after the first write: Redis refuses a script for lack of memory before its first write only.
local number, batch = tonumber(ARGV[4]), cmsgpack.unpack(ARGV[5])
local IDS_SECONDS = 90000 -- 25 hours: KEPT_IDS_AGE and an hour
local BATCH_SECONDS = 86400
local MISSED_BYTES = 65536 -- of records in the answer; the hub reads the others
local HINT_BYTES = 65536 -- of records in a hint; the hubs that follow read larger ones

local mine = name('batch:' .. hub)
local past = redis.call('HMGET', mine, 'number', 'outcomes')
if past[1] and tonumber(past[1]) == number then
  redis.call('HSET', mine, 'number', number) -- a write: WAIT waits for those of its own connection
  return {'done', past[2]}
end
if past[1] and tonumber(past[1]) > number then return {'stale'} end

-- entry: topic, received, new epoch, ends, state (false: none), nodes, about, owner, producer ('': no id), id, digest,
-- bytes of the bodies, count, records (msgpack), last record (msgpack, if the life ends), opens, settles,
-- epoch and seq that the hub had seen (-1: it does not say), conditional, once
local missed, told, missed_bytes, refused = {}, {}, 0, {}

local function life_of(topic)
  local life = redis.call('HMGET', of(topic, 'm'), 'e', 'h', 't', 'b', 'g', 'o', 'w', 'r', 'y')
  if life[1] then
    local epoch = renewed(topic, life[1], life[5])
    if epoch ~= life[1] then life[1], life[9] = epoch, '' end
  end
  return life
end

-- Tell what other hubs appended to a life after a seq; once for each seq.
local function tell_missed(topic, life, since)
  since = math.max(since, told[topic] or 0)
  local found, next_id = {}, whole(since + 1)
  while missed_bytes < MISSED_BYTES do
    local page = redis.call('XRANGE', of(topic, 'l'), next_id, '+', 'COUNT', 16)
    for _, one in ipairs(page) do
      if one[2][10] ~= hub then
        found[#found + 1] = one
        missed_bytes = missed_bytes + #one[2][8]
      end
      next_id = '(' .. one[1]
    end
    if #page < 16 then break end
  end
  told[topic] = tonumber(life[2])
  if #found > 0 then missed[#missed + 1] = {topic, life[1], life[6], found} end
end

-- Return whether another hub changed the log after what this hub had seen.
local function moved(topic, life, epoch, seen)
  if not life[1] then return epoch ~= '' and redis.call('HGET', of(topic, 'd'), 'w') ~= hub end
  if life[1] ~= epoch then
    if life[9] ~= hub and epoch ~= '' then return true end
    seen = 0
  end
  if seen > tonumber(life[2]) then return true end
  local others
  if life[7] == hub then others = tonumber(life[8]) > seen else others = tonumber(life[2]) > seen end
  if others then tell_missed(topic, life, seen) end
  return others
end

local function known_of(entry)
  if entry[9] == '' then return end
  local known = redis.call('HGET', name('i:' .. entry[9]), entry[10])
  if not known then return end
  local rest = 1 + string.byte(known)
  if string.sub(known, 2, rest) ~= entry[11] then return {'conflict'} end
  known = cmsgpack.unpack(string.sub(known, rest + 1))
  return {'known', known[1], known[2], known[3], known[4]}
end

-- Return whether a unit must be refused, and by id the outcomes of what is settled already.
local function refusal_of(unit)
  local no, settled = false, {}
  for _, entry in ipairs(unit) do
    local others = entry[19] >= 0 and moved(entry[1], life_of(entry[1]), entry[18], entry[19])
    if entry[20] and (others or refused[entry[1]]) then no = true end
    if entry[21] then
      for _, one in ipairs(entry[16]) do
        if redis.call('EXISTS', interaction(one[1])) == 1 then no = true end
      end
      for _, one in ipairs(entry[17]) do
        local found = redis.call('HMGET', interaction(one[1]), 'settled', 'outcome')
        if found[1] then
          no = true
          settled[#settled + 1] = {one[1], found[2] or ''}
        end
      end
    end
  end
  return no, settled
end

local function begin(topic, epoch, owner)
  redis.call('HSET', of(topic, 'm'), 'e', epoch, 'h', 0, 'f', 0, 'o', owner, 'b', 0, 'c', 0, 'g', generation,
    'w', hub, 'r', 0, 'y', hub)
  redis.call('ZADD', name('logs'), 0, topic)
  if not of_user(topic) then redis.call('ZADD', name('projects'), 0, topic) end
  redis.call('HINCRBY', name('owned'), (of_user(topic) and 'u' or 'p') .. owner, 1)
end

-- Tell the hubs that follow the log. Body: hub, epoch, last seq, count, time of receipt, bytes of the owner; owner; records.
local function hint(topic, epoch, last, count, received, owner, records)
  if #records > HINT_BYTES then records = '' end
  local head = table.concat({hub, epoch, whole(last), count, whole(received), #owner}, ' ')
  redis.call('PUBLISH', of(topic, 'h'), head .. '\n' .. owner .. records)
end

local function append(entry)
  local topic, received, ends = entry[1], entry[2], entry[4]
  local owner, producer, id, digest = entry[8], entry[9], entry[10], entry[11]
  local size, count = entry[12], entry[13]
  local life = life_of(topic)
  local epoch, head = life[1], tonumber(life[2] or 0)
  received = math.max(received, tonumber(life[3] or 0))
  if epoch then
    owner = life[6]
    if life[7] ~= hub then redis.call('HSET', of(topic, 'm'), 'w', hub, 'r', head) end
  else
    epoch = entry[3]
    begin(topic, epoch, owner)
  end

  local last = head + count
  local bytes = tonumber(life[4] or 0) + size
  redis.call('XADD', of(topic, 'l'), whole(last) .. '-0', 'n', count, 't', received, 'z', size, 'r', entry[14], 'w', hub)
  redis.call('HSET', of(topic, 'm'), 'h', last, 't', received, 'b', bytes,
    's', entry[5] and '=' .. entry[5] or '', 'n', entry[6], 'a', entry[7])
  redis.call('HINCRBY', name('bytes'), owner, size)
  redis.call('ZADD', name('uncovered'), received, topic)
  if producer ~= '' then
    local ids = name('i:' .. producer)
    redis.call('HSET', ids, id, string.char(#digest) .. digest .. cmsgpack.pack({topic, epoch, head + 1, count, received}))
    redis.call('RPUSH', ids .. ':order', id)
    redis.call('EXPIRE', ids, IDS_SECONDS)
    redis.call('EXPIRE', ids .. ':order', IDS_SECONDS)
    redis.call('ZADD', name('producers'), received, producer)
  end
  hint(topic, epoch, last, count, received, owner, entry[14])
  for _, one in ipairs(entry[16]) do
    open_interaction(one)
    redis.call('PUBLISH', name('interactions'), hub .. ' ' .. one[1])
  end
  for _, one in ipairs(entry[17]) do
    settle_interaction(one[1], one[2], received)
    redis.call('PUBLISH', name('interactions'), hub .. ' ' .. one[1])
  end
  if ends then
    forget_life(topic, owner, bytes)
    redis.call('DEL', of(topic, 'm'))
    redis.call('HSET', of(topic, 'm'), 't', received)
    redis.call('HSET', of(topic, 'd'), 'e', epoch, 'seq', last, 't', received, 'r', entry[15], 'w', hub)
    redis.call('ZADD', name('ended'), received, topic)
  end
  return {'appended', epoch, head + 1, received, ends}
end

local outcomes = {}
for _, unit in ipairs(batch) do
  local known = known_of(unit[1])
  local no, settled = false, {}
  if not known then no, settled = refusal_of(unit) end
  for place, entry in ipairs(unit) do
    if place == 1 and known then
      outcomes[#outcomes + 1] = known
    elseif no then
      refused[entry[1]] = true
      outcomes[#outcomes + 1] = {'moved', settled}
    else
      outcomes[#outcomes + 1] = append(entry)
    end
  end
end
local packed = cmsgpack.pack(outcomes)
redis.call('HSET', mine, 'number', number, 'outcomes', packed)
redis.call('EXPIRE', mine, BATCH_SECONDS)
return {'ok', packed, missed, missed_bytes >= MISSED_BYTES and 1 or 0}
