-- List projects by id. ARGV: id to go on after, limit. Answer: ok with pairs of id and fields of m.
local after, found = ARGV[4], {}
local from = after == '' and '-' or '(' .. after
for _, topic in ipairs(redis.call('ZRANGEBYLEX', name('projects'), from, '+', 'LIMIT', 0, ARGV[5])) do
  found[#found + 1] = {topic, redis.call('HMGET', of(topic, 'm'), 'e', 'h', 't', 's', 'n', 'a')}
end
return {'ok', found}
