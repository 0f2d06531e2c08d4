-- Let a life go on under another epoch from a checkpoint. ARGV: topic, epoch, seq of the checkpoint (0: none), new epoch,
-- settled prompts and commands (msgpack). Answers: ok, over.
local topic, seq = ARGV[4], tonumber(ARGV[6])
local life = redis.call('HMGET', of(topic, 'm'), 'e', 'f', 't', 'o', 'b', 'h')
if life[1] ~= ARGV[5] then return {'over'} end
local log, kept = of(topic, 'l'), 0
for _, one in ipairs(redis.call('ZRANGE', of(topic, 'c'), 0, -1)) do
  if tonumber(one) == seq then
    kept = seq
  else
    redis.call('UNLINK', of(topic, 'c:' .. one))
    redis.call('ZREM', of(topic, 'c'), one)
  end
end
local floor = math.max(tonumber(life[2]), seq)
redis.call('XTRIM', log, 'MINID', whole(floor + 1) .. '-0')
local bytes, next_id = 0, '-'
while true do
  local page = redis.call('XRANGE', log, next_id, '+', 'COUNT', 64)
  for _, entry in ipairs(page) do
    local last, count = tonumber(string.match(entry[1], '%d+')), tonumber(entry[2][2])
    if last - count >= floor then
      bytes = bytes + tonumber(entry[2][6])
    else
      for place, record in ipairs(cmsgpack.unpack(entry[2][8])) do
        if last - count + place > floor then bytes = bytes + #record[3] end
      end
    end
    next_id = '(' .. entry[1]
  end
  if #page < 64 then break end
end
redis.call('HSET', of(topic, 'm'), 'e', ARGV[7], 'g', generation, 'y', '', 'f', floor, 'c', kept, 'b', bytes)
redis.call('HINCRBY', name('bytes'), life[4], bytes - tonumber(life[5]))
if kept < tonumber(life[6]) then redis.call('ZADD', name('uncovered'), life[3], topic) end
for _, one in ipairs(cmsgpack.unpack(ARGV[8])) do settle_interaction(one[1], one[2], life[3]) end
return {'ok', written()}
