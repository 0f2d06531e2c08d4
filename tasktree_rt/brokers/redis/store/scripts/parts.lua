-- Read parts of a state: a list whose first item is a marker. ARGV: topic, epoch ('': any), key, first, last.
-- Answers: ok with the parts and the length of the list, gone.
local topic, epoch, key = ARGV[4], ARGV[5], of(ARGV[4], ARGV[6])
if epoch ~= '' and redis.call('HGET', of(topic, 'm'), 'e') ~= epoch then return {'gone'} end
local length = redis.call('LLEN', key)
if length == 0 then return {'gone'} end
return {'ok', redis.call('LRANGE', key, ARGV[7], ARGV[8]), length}
