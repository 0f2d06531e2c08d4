-- Delete the oldest events of a log, up to a checkpoint. ARGV: topic, cutoff, events and bytes at most, entries to look at.
-- Answers: ok with epoch, owner, new floor, bytes deleted; more (look at more entries); none.
local topic, cutoff, events, bytes = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local look = tonumber(ARGV[8])
local life = redis.call('HMGET', of(topic, 'm'), 'e', 'h', 'f', 'b', 'o')
if not life[1] then return {'none'} end
local head, floor, left = tonumber(life[2]), tonumber(life[3]), tonumber(life[4])
local log = of(topic, 'l')
local AT_ONCE = 64

local function sizes(entry, beyond) -- bytes of each body after seq `beyond`
  local records = cmsgpack.unpack(entry[2][8])
  local first = tonumber(string.match(entry[1], '%d+')) - #records + 1
  local found = {}
  for place, record in ipairs(records) do
    if first + place - 1 > beyond then found[#found + 1] = #record[3] end
  end
  return found
end

-- Walk from the oldest entry until nothing more has to go. ends[i] is the last seq of an entry, upto[i] the bytes up to it.
local wanted, ends, upto, entries, gone = math.max(0, head - floor - events), {}, {}, {}, 0
local next_id, finished = '-', false
while not finished and #ends < look do
  local page = redis.call('XRANGE', log, next_id, '+', 'COUNT', AT_ONCE)
  for _, entry in ipairs(page) do
    local last, count = tonumber(string.match(entry[1], '%d+')), tonumber(entry[2][2])
    local size = tonumber(entry[2][6])
    if last - count < floor then
      size = 0
      for _, one in ipairs(sizes(entry, floor)) do size = size + one end
    end
    if tonumber(entry[2][4]) < cutoff then wanted = math.max(wanted, last - floor) end
    if left - gone - size >= bytes then
      if left - gone > bytes then wanted = math.max(wanted, last - floor) end
    elseif left - gone > bytes then
      local over, seq = left - gone - bytes, math.max(floor, last - count)
      for _, one in ipairs(sizes(entry, floor)) do
        if over > 0 then over, seq = over - one, seq + 1 end
      end
      wanted = math.max(wanted, seq - floor)
    end
    gone = gone + size
    ends[#ends + 1], upto[#upto + 1], entries[#entries + 1] = last, gone, entry
    next_id = '(' .. entry[1]
    if last - floor >= wanted and left - gone <= bytes and tonumber(entry[2][4]) >= cutoff then finished = true break end
  end
  if #page < AT_ONCE then finished = true end
end

local reached = ends[#ends] or floor
local most = math.min(floor + wanted, reached)
local kept = redis.call('ZREVRANGEBYSCORE', of(topic, 'c'), whole(most), '-inf', 'LIMIT', 0, 1)[1]
kept = kept and tonumber(kept) or 0
if kept <= floor then return {finished and 'none' or 'more'} end

local size = 0
for place, last in ipairs(ends) do
  if last <= kept then
    size = upto[place]
  else
    local first = last - tonumber(entries[place][2][2])
    if first < kept then
      local after = 0
      for _, one in ipairs(sizes(entries[place], kept)) do after = after + one end
      size = upto[place] - after
    end
    break
  end
end

redis.call('XTRIM', log, 'MINID', whole(kept + 1) .. '-0')
redis.call('HSET', of(topic, 'm'), 'f', kept, 'b', left - size)
redis.call('HINCRBY', name('bytes'), life[5], 0 - size)
for _, seq in ipairs(redis.call('ZRANGEBYSCORE', of(topic, 'c'), '-inf', '(' .. whole(kept))) do
  redis.call('UNLINK', of(topic, 'c:' .. seq))
  redis.call('ZREM', of(topic, 'c'), seq)
end
return {'ok', life[1], life[5], kept, size, finished and 'whole' or 'more'}
