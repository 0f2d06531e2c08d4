-- Describe named snapshots. ARGV: topic ('': of all). Answer: ok with the descriptions.
local topics, found = {ARGV[4]}, {}
if ARGV[4] == '' then topics = redis.call('SMEMBERS', name('snapshots')) end
for _, topic in ipairs(topics) do
  for _, one in ipairs(redis.call('HVALS', of(topic, 's'))) do found[#found + 1] = one end
end
return {'ok', found}
