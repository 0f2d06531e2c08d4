-- Take the parts under a temporary key as a named snapshot. ARGV: topic, epoch, id, description, temporary key.
local topic, id, made = ARGV[4], ARGV[6], of(ARGV[4], ARGV[8])
if redis.call('HGET', of(topic, 'm'), 'e') ~= ARGV[5] or redis.call('EXISTS', made) == 0 then
  redis.call('UNLINK', made)
  return {'over'}
end
redis.call('UNLINK', of(topic, 's:' .. id))
redis.call('RENAME', made, of(topic, 's:' .. id))
redis.call('PERSIST', of(topic, 's:' .. id))
redis.call('HSET', of(topic, 's'), id, ARGV[7])
redis.call('SADD', name('snapshots'), topic)
return {'ok', written()}
