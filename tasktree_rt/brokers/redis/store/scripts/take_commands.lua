-- Take the open commands of hubs that are gone, and those that no hub holds. Answer: ok with the ids of all that this hub has.
local TTL = 15000 -- milliseconds since its last sign of life after which a hub is gone
local now = clock()
local found = {}
local held = redis.call('HGETALL', name('q:held'))
for at = 1, #held, 2 do
  local seen = redis.call('ZSCORE', name('hubs'), held[at + 1])
  if held[at + 1] == hub then
    found[#found + 1] = held[at]
  elseif not seen or now - seen > TTL then
    redis.call('HSET', name('q:held'), held[at], hub)
    found[#found + 1] = held[at]
  end
end
return {'ok', found}
