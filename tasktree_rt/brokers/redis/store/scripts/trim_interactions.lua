-- Forget settled prompts and commands. ARGV: settled before, settled ones of an owner at most. Answer: ok, how many.
local AT_ONCE = 500
local old = redis.call('ZRANGEBYSCORE', name('q:settled'), '-inf', '(' .. ARGV[4], 'LIMIT', 0, AT_ONCE)
for _, id in ipairs(old) do forget_interaction(id) end
if #old > 0 then return {'ok', #old} end
local gone = 0
for _, owner in ipairs(redis.call('SMEMBERS', name('q:owners'))) do
  local beyond = math.min(AT_ONCE - gone, redis.call('ZCARD', name('q:o:' .. owner)) - tonumber(ARGV[5]))
  if beyond > 0 then
    for _, id in ipairs(redis.call('ZRANGE', name('q:o:' .. owner), 0, beyond - 1)) do forget_interaction(id) end
    gone = gone + beyond
  end
end
return {'ok', gone}
