-- Say that this hub lives. ARGV: milliseconds. Refused where Redis takes no writes.
redis.call('SET', name('hub:alive'), hub, 'PX', ARGV[4])
return {'ok'}
