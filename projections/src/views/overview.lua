-- What is going on in a tenant, all of one state: the position, live runs, approvals, decisions, and the counts of hours.
local generation = redis.call('GET', KEYS[1]) or 'g0'
local tenant, now, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local function key(rest) return 'xagent:' .. tenant .. ':' .. generation .. ':' .. rest end
local function rows(list, members)
    if #members == 0 then return {} end
    return redis.call('HMGET', key(list .. ':rows'), unpack(members))
end
local runs = redis.call('ZREVRANGE', key('live'), 0, most - 1)
local approvals = redis.call('ZRANGEBYSCORE', key('approvals'), now, '+inf', 'LIMIT', 0, most)
local usage = {}
for i = 4, #ARGV do
    usage[#usage + 1] = redis.call('HGETALL', key('usage:' .. ARGV[i]))
end
return {
    redis.call('GET', 'xagent:views:' .. generation .. ':position') or '0',
    rows('live', runs),
    rows('approvals', approvals),
    redis.call('LRANGE', key('decisions'), 0, most - 1),
    usage,
}
