-- Moves the position of one generation of the views and all that changed at once, or nothing where the position is not where
-- the writer thinks. Every change is made in the order of the events, so that it is of no account how they are parted into batches.
local generation = ARGV[1]
if generation == '' then generation = redis.call('GET', KEYS[1]) or 'g0' end
local marker = 'xagent:views:' .. generation .. ':position'
if (redis.call('GET', marker) or '0') ~= ARGV[2] then return 0 end
local deadline = ARGV[4]
local at = 5

local function take()
    at = at + 1
    return ARGV[at - 1]
end

local function key(tenant, rest)
    return 'xagent:' .. tenant .. ':' .. generation .. ':' .. rest
end

local function keep(name, text, until_ms)
    if text == '' then
        redis.call('DEL', name)
    else
        redis.call('SET', name, text)
        redis.call('PEXPIREAT', name, until_ms)
    end
end

local function forget(index, rows, members)
    for _, member in ipairs(members) do
        redis.call('ZREM', index, member)
        redis.call('HDEL', rows, member)
    end
end

local changes = {}

-- tenant, run, view, its deadline, memory, its deadline
changes.R = function()
    local tenant, run = take(), take()
    keep(key(tenant, 'run:' .. run), take(), take())
    keep(key(tenant, 'memory:' .. run), take(), take())
end

-- tenant, list, member, score, row, lowest score that is kept, rows that are kept
changes.L = function()
    local tenant, list, member, score, row, lowest, most = take(), take(), take(), take(), take(), take(), take()
    local index, rows = key(tenant, list), key(tenant, list .. ':rows')
    if row == '' then return forget(index, rows, {member}) end
    redis.call('ZADD', index, score, member)
    redis.call('HSET', rows, member, row)
    forget(index, rows, redis.call('ZRANGEBYSCORE', index, '-inf', '(' .. lowest))
    local over = redis.call('ZCARD', index) - tonumber(most)
    if over > 0 then forget(index, rows, redis.call('ZRANGE', index, 0, over - 1)) end
    redis.call('PEXPIREAT', index, deadline)
    redis.call('PEXPIREAT', rows, deadline)
end

-- tenant, decision, decisions that are kept
changes.D = function()
    local decisions, row, most = key(take(), 'decisions'), take(), take()
    redis.call('LPUSH', decisions, row)
    redis.call('LTRIM', decisions, 0, tonumber(most) - 1)
    redis.call('PEXPIREAT', decisions, deadline)
end

-- tenant, hour, agent, fields that are kept, number of counts, then each count: its name, how many are added
changes.U = function()
    local hour, agent, most, counts = key(take(), 'usage:' .. take()), take(), take(), take()
    if redis.call('HEXISTS', hour, 'decisions:' .. agent) == 0 and redis.call('HLEN', hour) >= tonumber(most) then
        agent = '*'
    end
    for _ = 1, tonumber(counts) do
        redis.call('HINCRBY', hour, take() .. ':' .. agent, take())
    end
    redis.call('PEXPIREAT', hour, deadline)
end

while at <= #ARGV do
    changes[take()]()
end
redis.call('SET', marker, ARGV[3])
return 1
