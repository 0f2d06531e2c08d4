-- Say that this hub ends: others take its commands at once.
local LONG_AGO = 20000 -- more than the time after which a hub is gone
local time = redis.call('TIME')
redis.call('ZADD', name('hubs'), time[1] * 1000 - LONG_AGO, hub)
return {'ok'}
