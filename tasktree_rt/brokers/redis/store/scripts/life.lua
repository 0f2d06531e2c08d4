-- Describe a log, and give its life a new epoch if it is of an earlier generation. ARGV: topic.
-- Answer: ok; the fields of m; those of the newest death; seqs of the checkpoints, the newest first.
local topic = ARGV[4]
local m = redis.call('HMGET', of(topic, 'm'), 'e', 'h', 'f', 't', 'o', 'b', 's', 'n', 'a', 'g')
if m[1] then m[1] = renewed(topic, m[1], m[10]) end
local death = redis.call('HMGET', of(topic, 'd'), 'e', 'seq', 't', 'r')
return {'ok', m, death, redis.call('ZREVRANGE', of(topic, 'c'), 0, -1)}
