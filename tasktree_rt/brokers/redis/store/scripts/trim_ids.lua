-- Forget a producer's oldest publish ids. ARGV: producer, ids to keep, cutoff. Answer: ok, whether there may be more.
local ids = name('i:' .. ARGV[4])
local keep, cutoff, AT_ONCE = tonumber(ARGV[5]), tonumber(ARGV[6]), 1000
local beyond = redis.call('LLEN', ids .. ':order') - keep
local oldest = redis.call('LRANGE', ids .. ':order', 0, AT_ONCE - 1)
local gone = 0
for place, id in ipairs(oldest) do
  local known = redis.call('HGET', ids, id)
  if place - 1 >= beyond and known and cmsgpack.unpack(string.sub(known, 2 + string.byte(known)))[5] >= cutoff then break end
  redis.call('HDEL', ids, id)
  gone = place
end
redis.call('LTRIM', ids .. ':order', gone, -1)
if redis.call('EXISTS', ids) == 0 then redis.call('ZREM', name('producers'), ARGV[4]) end
return {'ok', gone == AT_ONCE and 1 or 0}
