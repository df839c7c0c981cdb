-- What the live generation holds under these names of a tenant.
local generation = ARGV[1]
if generation == '' then generation = redis.call('GET', KEYS[1]) or 'g0' end
local names = {}
for i = 2, #ARGV, 2 do
    names[#names + 1] = 'xagent:' .. ARGV[i] .. ':' .. generation .. ':' .. ARGV[i + 1]
end
return redis.call('MGET', unpack(names))
