-- Return a prompt or command. ARGV: id. Answer: ok with the fields of its hash.
return {'ok', redis.call('HMGET', interaction(ARGV[4]), 'kind', 'settled', 'topics', 'owner', 'name', 'rest', 'place', 'outcome')}
