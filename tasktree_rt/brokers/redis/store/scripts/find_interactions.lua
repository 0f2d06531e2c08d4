-- List prompts and commands. ARGV: direction (after, before), place, limit, open ('', 'yes', 'no'), kind, topic, name.
-- Answer: ok; the ids and hashes found; the place to go on from, or '' at the end. Looks at LOOK at most.
local direction, place, limit = ARGV[4], ARGV[5], tonumber(ARGV[6])
local open, kind, topic, named = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local LOOK = 1000
local list = name('q')
if named ~= '' then list = name('q:n:' .. named)
elseif topic ~= '' then list = of(topic, 'q')
elseif open == 'yes' then list = name('q:open') end

local ids
if direction == 'after' then
  ids = redis.call('ZRANGEBYSCORE', list, '(' .. place, '+inf', 'WITHSCORES', 'LIMIT', 0, LOOK)
else
  ids = redis.call('ZREVRANGEBYSCORE', list, '(' .. place, '-inf', 'WITHSCORES', 'LIMIT', 0, LOOK)
end

local function wanted(one)
  if open ~= '' and (open == 'yes') ~= (not one[2]) then return false end
  if kind ~= '' and one[1] ~= kind then return false end
  if topic == '' then return true end
  for _, found in ipairs(cmsgpack.unpack(one[3])) do if found == topic then return true end end
  return false
end

local found = {}
for at = 1, #ids, 2 do
  local one = redis.call('HMGET', interaction(ids[at]), 'kind', 'settled', 'topics', 'owner', 'name', 'rest', 'place', 'outcome')
  place = ids[at + 1]
  if wanted(one) then found[#found + 1] = {ids[at], one} end
  if #found >= limit then return {'ok', found, ''} end
end
return {'ok', found, #ids < 2 * LOOK and '' or place}
