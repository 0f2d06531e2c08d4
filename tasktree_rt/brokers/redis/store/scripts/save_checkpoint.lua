-- Take the parts under a temporary key as a checkpoint. ARGV: topic, epoch, seq, temporary key.
-- Not in a life whose epoch is of an earlier generation: the state may be one that Redis has lost.
local topic, seq, made = ARGV[4], tonumber(ARGV[6]), of(ARGV[4], ARGV[7])
local life = redis.call('HMGET', of(topic, 'm'), 'e', 'h', 'c', 'g')
if life[1] ~= ARGV[5] or life[4] ~= generation or redis.call('EXISTS', made) == 0 then
  redis.call('UNLINK', made)
  return {'over'}
end
local kept = of(topic, 'c:' .. whole(seq))
redis.call('UNLINK', kept)
redis.call('RENAME', made, kept)
redis.call('PERSIST', kept)
redis.call('ZADD', of(topic, 'c'), seq, whole(seq))
if seq > tonumber(life[3]) then redis.call('HSET', of(topic, 'm'), 'c', seq) end
if seq >= tonumber(life[2]) then redis.call('ZREM', name('uncovered'), topic) end
return {'ok'}
