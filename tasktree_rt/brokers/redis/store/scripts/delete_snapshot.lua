-- Delete a named snapshot. ARGV: topic, id. Answer: ok with 1 if there was one.
local topic, id = ARGV[4], ARGV[5]
local found = redis.call('HDEL', of(topic, 's'), id)
redis.call('UNLINK', of(topic, 's:' .. id))
if redis.call('EXISTS', of(topic, 's')) == 0 then redis.call('SREM', name('snapshots'), topic) end
return {'ok', found, written()}
