-- Find out whether something is missing, after Redis began another history: what Redis keeps of this hub's writes is
-- always their beginning, so the newest one that was acknowledged tells of all. Runs before the hub knows the history.
-- ARGV: prefix, hub, number of the newest acknowledged batch, count of the other acknowledged writes.
-- Answers: ok with the history; lost with the batches and writes that are missing; replaced; role.
local prefix, hub = ARGV[1], ARGV[2]
local function name(what) return prefix .. ':' .. what end
if redis.call('GET', name('hub')) ~= hub then return {'replaced'} end
local info = redis.call('INFO', 'replication')
local role, history = string.match(info, 'role:(%a+)'), string.match(info, 'master_replid:(%x+)')
if role ~= 'master' then return {'role', role} end
local found = redis.call('HMGET', name('batch'), 'number', 'others')
local batches, others = ARGV[3] - (found[1] or 0), ARGV[4] - (found[2] or 0)
if batches > 0 or others > 0 then return {'lost', math.max(batches, 0), math.max(others, 0)} end
redis.call('SET', name('history'), history)
return {'ok', history}
