-- Find the newest checkpoint at or before a seq. ARGV: topic, epoch, seq. Answers: ok with its seq, none.
local topic = ARGV[4]
if redis.call('HGET', of(topic, 'm'), 'e') ~= ARGV[5] then return {'none'} end
local found = redis.call('ZREVRANGEBYSCORE', of(topic, 'c'), ARGV[6], '-inf', 'LIMIT', 0, 1)[1]
if not found then return {'none'} end
return {'ok', found}
