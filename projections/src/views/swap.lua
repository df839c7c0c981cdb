-- Puts a generation in the place of the live one, unless it is behind it. Gives the live one's position and name.
local live = redis.call('GET', KEYS[1]) or 'g0'
local function position(generation) return redis.call('GET', 'xagent:views:' .. generation .. ':position') or '0' end
if tonumber(position(ARGV[1])) >= tonumber(position(live)) then redis.call('SET', KEYS[1], ARGV[1]) end
return {position(live), live}
