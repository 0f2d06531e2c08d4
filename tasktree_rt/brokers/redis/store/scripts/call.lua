-- Run one command. ARGV: its name and arguments after the prefix of their first key. Answer: ok with its answer.
return {'ok', redis.call(ARGV[4], name(ARGV[5]), unpack(ARGV, 6))}
