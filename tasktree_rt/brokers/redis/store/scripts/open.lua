-- Open the store for a hub; other than all scripts it runs before this hub is the store's.
-- If Redis began another history since a hub used the store, all lives get new epochs when they are first used.
-- ARGV: prefix, hub, format, milliseconds. Answers: ok with the history, busy, format, role, no-history.
local prefix, hub = ARGV[1], ARGV[2]
local function name(what) return prefix .. ':' .. what end
local info = redis.call('INFO', 'replication')
local role, history = string.match(info, 'role:(%a+)'), string.match(info, 'master_replid:(%x+)')
if not history or string.match(history, '^0*$') then return {'no-history'} end
if role ~= 'master' then return {'role', role} end
local format = redis.call('GET', name('format'))
if format and format ~= ARGV[3] then return {'format', format} end
local alive = redis.call('GET', name('hub:alive'))
if alive and alive ~= hub then return {'busy'} end
redis.call('SET', name('format'), ARGV[3])
redis.call('SET', name('hub'), hub)
redis.call('SET', name('hub:alive'), hub, 'PX', ARGV[4])
redis.call('DEL', name('batch'))
if redis.call('GET', name('history')) ~= history then
  redis.call('SET', name('history'), history)
  redis.call('INCR', name('generation'))
end
return {'ok', history}
