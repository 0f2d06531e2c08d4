-- Prompts and commands: hash q:i:<id>; the zsets q (all), q:open, q:t:<topic>, q:n:<name> by place, q:settled by time,
-- q:o:<owner> (settled ones) by place; the hash q:held has the hub that sees to each open command.

local function interaction(id) return name('q:i:' .. id) end

local function forget_interaction(id)
  local key = interaction(id)
  local found = redis.call('HMGET', key, 'topics', 'name', 'owner')
  if not found[1] then return end
  for _, topic in ipairs(cmsgpack.unpack(found[1])) do redis.call('ZREM', of(topic, 'q'), id) end
  redis.call('ZREM', name('q:n:' .. found[2]), id)
  redis.call('ZREM', name('q:o:' .. found[3]), id)
  if redis.call('EXISTS', name('q:o:' .. found[3])) == 0 then redis.call('SREM', name('q:owners'), found[3]) end
  for _, list in ipairs({'q', 'q:open', 'q:settled'}) do redis.call('ZREM', name(list), id) end
  redis.call('HDEL', name('q:held'), id)
  redis.call('UNLINK', key)
end

-- one: id, kind, topics, owner, name, rest
local function open_interaction(one)
  local id, topics = one[1], one[3]
  forget_interaction(id)
  local place = redis.call('INCR', name('q:place'))
  redis.call('HSET', interaction(id), 'kind', one[2], 'topics', cmsgpack.pack(topics), 'owner', one[4],
    'name', one[5], 'rest', one[6], 'place', place)
  if one[2] == 'command' then redis.call('HSET', name('q:held'), id, hub) end
  redis.call('ZADD', name('q'), place, id)
  redis.call('ZADD', name('q:open'), place, id)
  redis.call('ZADD', name('q:n:' .. one[5]), place, id)
  for _, topic in ipairs(topics) do redis.call('ZADD', of(topic, 'q'), place, id) end
end

local function settle_interaction(id, outcome, received)
  local key = interaction(id)
  local found = redis.call('HMGET', key, 'place', 'settled', 'owner')
  if not found[1] or found[2] then return end
  redis.call('HSET', key, 'settled', received, 'outcome', outcome)
  redis.call('ZREM', name('q:open'), id)
  redis.call('HDEL', name('q:held'), id)
  redis.call('ZADD', name('q:settled'), received, id)
  redis.call('ZADD', name('q:o:' .. found[3]), found[1], id)
  redis.call('SADD', name('q:owners'), found[3])
end
