-- Tasks that no agent could take, in queues of equal needs; who comes first is decided by priority and age.
local offers = {}
local offered = {}
local LOOK = 256
local AT_ONCE = 64

-- Returns whether it waited.
local function forget(member)
  local queue = call('HGET', P .. 'waiting', member)
  if not queue then return false end
  call('HDEL', P .. 'waiting', member)
  call('DEL', P .. 'w:' .. member)
  call('ZREM', queue, member)
  if call('EXISTS', queue) == 0 then
    local tenant = string.match(queue, '^' .. P .. 'wait:([^:]+):')
    call('SREM', P .. 'queues:none:' .. tenant, queue)
    call('SREM', P .. 'queues:busy:' .. tenant, queue)
  end
  return true
end

-- Returns how often the reason has changed, which makes each route.failed an event of its own, and whether it did now.
local function park(member, tenant, queue, score, why, body)
  local known = call('HMGET', P .. 'w:' .. member, 'why', 'count')
  local count = tonumber(known[2] or 0)
  local changed = known[1] ~= why
  if changed then count = count + 1 end
  call('HSET', P .. 'w:' .. member, 'why', why, 'count', count, 'body', body)
  call('HSET', P .. 'waiting', member, queue)
  call('ZADD', queue, score, member)
  local kind, other = 'busy', 'none'
  if why == 'no_capability' then kind, other = other, kind end
  call('SADD', P .. 'queues:' .. kind .. ':' .. tenant, queue)
  call('SREM', P .. 'queues:' .. other .. ':' .. tenant, queue)
  call('SADD', P .. 'tenants', tenant)
  return count, changed
end

-- As the router's scoring has it.
local function quality(window)
  local _, succeeded = string.gsub(window, 's', '')
  local _, partial = string.gsub(window, 'p', '')
  return (succeeded + 0.5 * partial + input.prior_runs * input.prior_quality) / (#window + input.prior_runs)
end

local function suits(agent, queue)
  local caps, avoided, least = string.match(queue, '^' .. P .. 'wait:[^:]+:([^|]*)|([^|]*)|([^|]*)$')
  if least ~= '' and quality(agent.window) < input.tiers[least] then return false end
  for cap in string.gmatch(caps, '[^,]+') do
    if not string.find(agent.caps, ',' .. cap .. ',', 1, true) then return false end
  end
  for technology in string.gmatch(avoided, '[^,]+') do
    if string.find(agent.technologies, ',' .. technology .. ',', 1, true) then return false end
  end
  return true
end

local function queues_for(agent, kind)
  if agent.tenant ~= input.everyone then
    return call('SRANDMEMBER', P .. 'queues:' .. kind .. ':' .. agent.tenant, LOOK)
  end
  local found = {}
  for _, tenant in ipairs(call('SRANDMEMBER', P .. 'tenants', LOOK)) do
    local queues = call('SRANDMEMBER', P .. 'queues:' .. kind .. ':' .. tenant, LOOK)
    if #queues == 0 and call('EXISTS', P .. 'queues:none:' .. tenant, P .. 'queues:busy:' .. tenant) == 0 then
      call('SREM', P .. 'tenants', tenant)
    end
    for _, queue in ipairs(queues) do
      table.insert(found, queue)
      if #found >= LOOK then return found end
    end
  end
  return found
end

local function offer(member, body, cause)
  if offered[member] or #offers >= AT_ONCE or not body then return end
  offered[member] = true
  table.insert(offers, { member, body, cause })
end

-- What an agent with room might take, the first in line first. They stay in line until they have a slot.
local function offer_to(agent, cause, kinds)
  local free = math.min(room(agent), AT_ONCE)
  if free <= 0 then return end
  local heads = {}
  for _, kind in ipairs(kinds) do
    for _, queue in ipairs(queues_for(agent, kind)) do
      if suits(agent, queue) then
        local first = call('ZRANGE', queue, 0, free - 1, 'WITHSCORES')
        for i = 1, #first, 2 do
          table.insert(heads, { first[i], tonumber(first[i + 1]) })
        end
      end
    end
  end
  table.sort(heads, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1]) end)
  for i = 1, math.min(#heads, 2 * free) do
    offer(heads[i][1], call('HGET', P .. 'w:' .. heads[i][1], 'body'), cause)
  end
end
