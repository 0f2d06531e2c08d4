-- Append a batch, all or nothing. ARGV: number of the batch, the batch (msgpack).
-- Answers: ok with the outcomes (msgpack), done with those of a batch that ran before, stale.
-- Nothing can fail after the first write: Redis refuses a script for lack of memory before its first write only.
local number, batch = tonumber(ARGV[4]), cmsgpack.unpack(ARGV[5])
local IDS_SECONDS = 90000 -- 25 hours: KEPT_IDS_AGE and an hour

local past = redis.call('HMGET', name('batch'), 'number', 'outcomes')
if past[1] and tonumber(past[1]) == number then
  redis.call('HSET', name('batch'), 'number', number) -- a write: WAIT waits for those of its own connection
  return {'done', past[2]}
end
if past[1] and tonumber(past[1]) > number then return {'stale'} end

local function begin(topic, epoch, owner)
  redis.call('HSET', of(topic, 'm'), 'e', epoch, 'h', 0, 'f', 0, 'o', owner, 'b', 0, 'c', 0, 'g', generation)
  redis.call('ZADD', name('logs'), 0, topic)
  if not of_user(topic) then redis.call('ZADD', name('projects'), 0, topic) end
  redis.call('HINCRBY', name('owned'), (of_user(topic) and 'u' or 'p') .. owner, 1)
end

-- entry: topic, received, new epoch, ends, state (false: none), nodes, about, owner, producer ('': no id), id, digest,
-- bytes of the bodies, count, records (msgpack), last record (msgpack, if the life ends), opens, settles
local function append(entry)
  local topic, received, new_epoch, ends = entry[1], entry[2], entry[3], entry[4]
  local owner, producer, id, digest = entry[8], entry[9], entry[10], entry[11]
  local size, count = entry[12], entry[13]
  local ids = name('i:' .. producer)
  if producer ~= '' then
    local known = redis.call('HGET', ids, id)
    if known then
      local rest = 1 + string.byte(known)
      if string.sub(known, 2, rest) ~= digest then return {'conflict'} end
      known = cmsgpack.unpack(string.sub(known, rest + 1))
      return {'known', known[1], known[2], known[3], known[4]}
    end
  end

  local life = redis.call('HMGET', of(topic, 'm'), 'e', 'h', 't', 'b', 'g', 'o')
  local epoch, head = life[1], tonumber(life[2] or 0)
  received = math.max(received, tonumber(life[3] or 0))
  if epoch then
    epoch, owner = renewed(topic, epoch, life[5], new_epoch), life[6]
  else
    epoch = new_epoch
    begin(topic, epoch, owner)
  end

  local last = head + count
  local bytes = tonumber(life[4] or 0) + size
  redis.call('XADD', of(topic, 'l'), whole(last) .. '-0', 'n', count, 't', received, 'z', size, 'r', entry[14])
  redis.call('HSET', of(topic, 'm'), 'h', last, 't', received, 'b', bytes,
    's', entry[5] and '=' .. entry[5] or '', 'n', entry[6], 'a', entry[7])
  redis.call('HINCRBY', name('bytes'), owner, size)
  redis.call('ZADD', name('uncovered'), received, topic)
  if producer ~= '' then
    redis.call('HSET', ids, id, string.char(#digest) .. digest .. cmsgpack.pack({topic, epoch, head + 1, count, received}))
    redis.call('RPUSH', ids .. ':order', id)
    redis.call('EXPIRE', ids, IDS_SECONDS)
    redis.call('EXPIRE', ids .. ':order', IDS_SECONDS)
    redis.call('ZADD', name('producers'), received, producer)
  end
  for _, one in ipairs(entry[16]) do open_interaction(one) end
  for _, one in ipairs(entry[17]) do settle_interaction(one[1], one[2], received) end
  if ends then
    forget_life(topic, owner, bytes)
    redis.call('DEL', of(topic, 'm'))
    redis.call('HSET', of(topic, 'm'), 't', received)
    redis.call('HSET', of(topic, 'd'), 'e', epoch, 'seq', last, 't', received, 'r', entry[15])
    redis.call('ZADD', name('ended'), received, topic)
  end
  return {'appended', epoch, head + 1, received, ends}
end

local outcomes = {}
for place, entry in ipairs(batch) do outcomes[place] = append(entry) end
local packed = cmsgpack.pack(outcomes)
redis.call('HSET', name('batch'), 'number', number, 'outcomes', packed)
return {'ok', packed}
