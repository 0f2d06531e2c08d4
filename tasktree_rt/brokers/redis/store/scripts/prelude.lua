-- What every script begins with. ARGV: prefix of all keys, this hub's id, the history of Redis that the hub knows,
-- then the script's own arguments from ARGV[4] on. An answer is an array; its first item names the outcome.
local prefix, hub, history = ARGV[1], ARGV[2], ARGV[3]

local function name(what) return prefix .. ':' .. what end
local function of(topic, what) return prefix .. ':{' .. topic .. '}:' .. what end
local function of_user(topic) return string.sub(topic, 1, 1) == '@' end
local function whole(number) return string.format('%.0f', number) end

-- Milliseconds since the Unix epoch, by Redis' clock.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Refuse to work on a replica, or on another history than the hub knows.
local function refusal()
  local info = redis.call('INFO', 'replication')
  local role, found = string.match(info, 'role:(%a+)'), string.match(info, 'master_replid:(%x+)')
  if role ~= 'master' or found ~= history then return {'history', role or '', found or ''} end
end

local refused = refusal()
if refused then return refused end

-- Count an acknowledged write that is no batch; return the count for the answer's end.
local function written() return redis.call('HINCRBY', name('batch:' .. hub), 'others', 1) end
