-- Say that this hub ends: others take its commands at once.
local LONG_AGO = 20000 -- more than the time after which a hub is gone
redis.call('ZADD', name('hubs'), clock() - LONG_AGO, hub)
return {'ok'}
