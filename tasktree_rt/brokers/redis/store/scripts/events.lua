-- Read entries of a log. ARGV: topic, direction (after, before), seq, bytes at most.
-- Answer: ok, epoch, head, floor, entries: of those after `seq` the first ones, or of those up to `seq` the last ones,
-- the newest first. At least one if there is any.
local topic, direction, seq, most = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local life = redis.call('HMGET', of(topic, 'm'), 'e', 'h', 'f', 'g')
if life[1] then life[1] = renewed(topic, life[1], life[4]) end
local log, found, size = of(topic, 'l'), {}, 0
local AT_ONCE = 32

-- An entry's id is the seq of its last event: the first entry with an id of at least `seq` has the event `seq`.
local next_id
if direction == 'after' then
  next_id = whole(seq + 1)
else
  local holder = redis.call('XRANGE', log, whole(seq) .. '-0', '+', 'COUNT', 1)[1]
  next_id = holder and holder[1] or '+'
end

while life[1] and size < most do
  local page
  if direction == 'after' then
    page = redis.call('XRANGE', log, next_id, '+', 'COUNT', AT_ONCE)
  else
    page = redis.call('XREVRANGE', log, next_id, '-', 'COUNT', AT_ONCE)
  end
  for _, entry in ipairs(page) do
    found[#found + 1] = entry
    size = size + #entry[2][8]
    next_id = '(' .. entry[1]
    if size >= most then break end
  end
  if #page < AT_ONCE then break end
end
return {'ok', life[1], life[2], life[3], found}
