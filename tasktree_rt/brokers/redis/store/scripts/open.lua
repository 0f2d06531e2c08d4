-- Open the store for a hub; other than all scripts it runs before the hub knows the history.
-- If Redis began another history since a hub used the store, all lives get new epochs when they are next used.
-- ARGV: prefix, hub, format, the format before. Answers: ok with the history, busy, format, role, no-history.
local prefix, hub = ARGV[1], ARGV[2]
local function name(what) return prefix .. ':' .. what end
local info = redis.call('INFO', 'replication')
local role, history = string.match(info, 'role:(%a+)'), string.match(info, 'master_replid:(%x+)')
if not history or string.match(history, '^0*$') then return {'no-history'} end
if role ~= 'master' then return {'role', role} end
local format = redis.call('GET', name('format'))
if format == ARGV[4] then
  if redis.call('EXISTS', name('hub:alive')) == 1 then return {'busy'} end -- a hub of the format before has it alone
elseif format and format ~= ARGV[3] then
  return {'format', format}
end
redis.call('SET', name('format'), ARGV[3])
if redis.call('GET', name('history')) ~= history then
  redis.call('SET', name('history'), history)
  redis.call('INCR', name('generation'))
end
if format == ARGV[4] then -- of a hub that is gone
  for _, id in ipairs(redis.call('ZRANGE', name('q:open'), 0, -1)) do
    if redis.call('HGET', name('q:i:' .. id), 'kind') == 'command' then redis.call('HSET', name('q:held'), id, '') end
  end
end
local time = redis.call('TIME')
redis.call('ZADD', name('hubs'), time[1] * 1000 + math.floor(time[2] / 1000), hub)
return {'ok', history}
