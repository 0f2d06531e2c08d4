-- Forget how lives ended. ARGV: ended before. Answer: ok, how many.
local old = redis.call('ZRANGEBYSCORE', name('ended'), '-inf', '(' .. ARGV[4], 'LIMIT', 0, 500)
for _, topic in ipairs(old) do
  redis.call('ZREM', name('ended'), topic)
  redis.call('DEL', of(topic, 'd'))
  if redis.call('HEXISTS', of(topic, 'm'), 'e') == 0 then redis.call('DEL', of(topic, 'm')) end
end
return {'ok', #old}
