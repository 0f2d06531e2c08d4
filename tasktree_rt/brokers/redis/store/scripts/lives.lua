-- The life of a log: hash m has e(poch), h(ead), f(loor), t(ime of the newest event of all lives), o(wner), b(ytes),
-- s(tate), n(odes), a(bout), g(eneration that gave it its epoch), c (seq of the newest checkpoint), w (the hub that wrote
-- last), r (the head when that hub began to be the only writer), y (the hub that began the epoch; '' after a renewal).
local generation = redis.call('GET', name('generation'))

-- Delete the events, checkpoints and snapshots of a life, and its row in all lists.
local function forget_life(topic, owner, bytes)
  for _, seq in ipairs(redis.call('ZRANGE', of(topic, 'c'), 0, -1)) do redis.call('UNLINK', of(topic, 'c:' .. seq)) end
  for _, id in ipairs(redis.call('HKEYS', of(topic, 's'))) do redis.call('UNLINK', of(topic, 's:' .. id)) end
  redis.call('UNLINK', of(topic, 'l'), of(topic, 'c'), of(topic, 's'))
  redis.call('ZREM', name('logs'), topic)
  redis.call('ZREM', name('projects'), topic)
  redis.call('ZREM', name('uncovered'), topic)
  redis.call('SREM', name('snapshots'), topic)
  local field = (of_user(topic) and 'u' or 'p') .. owner
  if redis.call('HINCRBY', name('owned'), field, -1) <= 0 then redis.call('HDEL', name('owned'), field) end
  redis.call('HINCRBY', name('bytes'), owner, 0 - bytes)
end

-- Give a life of an earlier generation a new epoch; return its epoch.
local function renewed(topic, epoch, of_generation)
  if of_generation == generation then return epoch end
  local new_epoch = string.sub(redis.sha1hex(epoch .. ':' .. history), 1, 12)
  redis.call('HSET', of(topic, 'm'), 'e', new_epoch, 'g', generation, 'y', '')
  return new_epoch
end
