-- Say that this hub lives, by the way that hints take. Refused where Redis takes no writes.
local DAY = 86400000
local now = clock()
redis.call('ZADD', name('hubs'), now, hub)
redis.call('ZREMRANGEBYSCORE', name('hubs'), '-inf', now - DAY)
redis.call('PUBLISH', name('probe:' .. hub), hub)
return {'ok'}
