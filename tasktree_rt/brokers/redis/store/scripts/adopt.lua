-- Go on after Redis began another history, and find out what it lost of this hub's acknowledged writes: what it keeps is
-- always their beginning. If something is, or other hubs were alive, whose writes may be missing, another generation begins:
-- each life gets a new epoch at its next use.
-- ARGV: prefix, hub, number of the newest acknowledged batch, count of the other acknowledged writes.
-- Answers: ok with the history and the batches and writes that are missing; role.
local prefix, hub = ARGV[1], ARGV[2]
local function name(what) return prefix .. ':' .. what end
local info = redis.call('INFO', 'replication')
local role, history = string.match(info, 'role:(%a+)'), string.match(info, 'master_replid:(%x+)')
if role ~= 'master' then return {'role', role} end
local found = redis.call('HMGET', name('batch:' .. hub), 'number', 'others')
local batches, others = ARGV[3] - (found[1] or 0), ARGV[4] - (found[2] or 0)
local MINUTE = 60000
local newest = redis.call('ZRANGE', name('hubs'), 0, 0, 'REV', 'WITHSCORES')[2]
local alone = true
if newest then
  for _, one in ipairs(redis.call('ZRANGEBYSCORE', name('hubs'), newest - MINUTE, '+inf')) do alone = alone and one == hub end
end
local first = redis.call('GET', name('history')) ~= history
redis.call('SET', name('history'), history)
if batches > 0 or others > 0 or (first and not alone) then redis.call('INCR', name('generation')) end
return {'ok', history, math.max(batches, 0), math.max(others, 0)}
