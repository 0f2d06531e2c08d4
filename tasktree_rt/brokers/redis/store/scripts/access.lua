-- API keys and revocations. ARGV: verb, then its arguments. Answer: ok. 
local verb = ARGV[4]
if verb == 'add' then
  if redis.call('HSETNX', name('access:keys'), ARGV[5], ARGV[6]) == 0 then return {'ok', 0, written()} end
elseif verb == 'used' then
  for at = 5, #ARGV, 2 do
    local known = redis.call('HGET', name('access:used'), ARGV[at])
    if redis.call('HEXISTS', name('access:keys'), ARGV[at]) == 1 and (not known or tonumber(known) < tonumber(ARGV[at + 1])) then
      redis.call('HSET', name('access:used'), ARGV[at], ARGV[at + 1])
    end
  end
elseif verb == 'revoke' then
  for _, one in ipairs(cmsgpack.unpack(ARGV[6])) do redis.call('HSET', name('access:revocations'), one[1], one[2]) end
  for _, id in ipairs(cmsgpack.unpack(ARGV[7])) do
    if redis.call('HEXISTS', name('access:keys'), id) == 1 then redis.call('HSETNX', name('access:revoked'), id, ARGV[5]) end
  end
elseif verb == 'forget' then
  for _, id in ipairs(cmsgpack.unpack(ARGV[5])) do
    for _, what in ipairs({'access:keys', 'access:used', 'access:revoked'}) do redis.call('HDEL', name(what), id) end
  end
  for _, one in ipairs(cmsgpack.unpack(ARGV[6])) do redis.call('HDEL', name('access:revocations'), one) end
end
return {'ok', 1, written()}
