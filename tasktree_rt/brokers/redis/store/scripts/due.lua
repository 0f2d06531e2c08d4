-- Find logs that retention wants less of. ARGV: cutoff, events and bytes at most, then topics. Answer: ok with topics.
local cutoff, events, bytes, found = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), {}
for at = 7, #ARGV do
  local topic = ARGV[at]
  local life = redis.call('HMGET', of(topic, 'm'), 'h', 'f', 'b', 'c')
  if life[1] and tonumber(life[4]) > tonumber(life[2]) then
    local due = life[1] - life[2] > events or tonumber(life[3]) > bytes
    if not due then
      local oldest = redis.call('XRANGE', of(topic, 'l'), '-', '+', 'COUNT', 1)[1]
      due = oldest and tonumber(oldest[2][4]) < cutoff
    end
    if due then found[#found + 1] = topic end
  end
end
return {'ok', found}
