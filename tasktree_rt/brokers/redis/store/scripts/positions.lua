-- Return the position of each log, and give lives of an earlier generation new epochs. ARGV: topics.
-- Answer: ok with epoch and head of each; an epoch of '' without a log.
local found = {}
for at = 4, #ARGV do
  local life = redis.call('HMGET', of(ARGV[at], 'm'), 'e', 'h', 'g')
  found[#found + 1] = life[1] and {renewed(ARGV[at], life[1], life[3]), tonumber(life[2])} or {'', 0}
end
return {'ok', found}
