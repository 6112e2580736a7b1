-- What the scripts below share: agents as tables, read once and written once a call. The clock is this server's.
--
-- <P>live                 which run of this server the state was built for; without it everything is refused (COLD)
-- <P>built                the millisecond at which it was built: what ended before that is not among those that are over
-- <P>epoch                the epoch of the log at that time
-- <P>agent:<key>          hash, <key> = <tenant>/<agent id>
-- <P>beat:<key>           exists while the agent is heard of
-- <P>cap:<tenant>:<cap>   set of keys
-- <P>leases:<key>         sorted set of members (<task>:<attempt>) by the millisecond at which each lapses
-- <P>lease                hash, member -> key
-- <P>lapsed               hash, member -> key, of leases that lapsed before the end of their runs was heard
-- <P>over                 sorted set of members whose attempts ended, by the millisecond at which that was heard
-- <P>asked                hash, member -> the task's version as it became ready, or waited once more, last
-- <P>handed:<event>       list of '<member> <event>': what was given out because of that event
-- <P>waiting              hash, member -> queue; <P>w:<member> hash with the event, the reason and its count
-- <P>wait:<tenant>:<sig>  queue: sorted set of members by priority and age, <sig> = <caps>|<avoided>|<least tier>
-- <P>queues:<kind>:<tenant>, <P>tenants   where the queues are; kind `none` waits for a capability, `busy` for a slot
-- <P>versions             sorted set of keys by the number of their last change
local P = 'ganglion:agents:'
local call = redis.call
local input = cjson.decode(ARGV[1])
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local built = tonumber(call('GET', P .. 'built') or 0)
local agents = {}
local LAPSED = 50000

if input.builder then
  if call('GET', P .. 'building') ~= input.builder then
    return redis.error_reply('COLD somebody else builds')
  end
  call('PEXPIRE', P .. 'building', 30000)
elseif call('EXISTS', P .. 'live') == 0 then
  return redis.error_reply('COLD the state must be built first')
end

local function lapse(agent)
  local leases = P .. 'leases:' .. agent.key
  for _, member in ipairs(call('ZRANGEBYSCORE', leases, '-inf', now)) do
    call('ZREM', leases, member)
    call('HDEL', P .. 'lease', member)
    call('HSET', P .. 'lapsed', member, agent.key)
    agent.touched = true
  end
  -- Each goes with the end of its run; if ends should ever fail to come, what they would have said is not worth more.
  if call('HLEN', P .. 'lapsed') > LAPSED then call('DEL', P .. 'lapsed') end
end

local function agent_of(key)
  if agents[key] then return agents[key] end
  local h = call('HMGET', P .. 'agent:' .. key, 'status', 'capacity', 'caps', 'technologies', 'window', 'streak',
    'since', 'opened_at', 'ok', 'probe', 'assigned_at', 'version')
  local agent = {
    key = key, tenant = string.match(key, '^[^/]+'), known = h[1] ~= false, status = h[1] or 'gone',
    capacity = tonumber(h[2] or 0), caps = h[3] or ',', technologies = h[4] or ',', window = h[5] or '',
    streak = tonumber(h[6] or 0), since = tonumber(h[7] or 0), opened_at = tonumber(h[8] or 0),
    ok = tonumber(h[9] or 0), probe = h[10] or '', assigned_at = tonumber(h[11] or 0), version = tonumber(h[12] or 0),
  }
  agents[key] = agent
  lapse(agent)
  agent.in_flight = call('ZCARD', P .. 'leases:' .. key)
  agent.heard = call('PTTL', P .. 'beat:' .. key)
  return agent
end

local function probing(agent)
  return agent.probe ~= '' and call('ZSCORE', P .. 'leases:' .. agent.key, agent.probe) ~= false
end

-- How many tasks it could take now, and if none, why not.
local function room(agent)
  if agent.status ~= 'active' or agent.heard <= 0 then return 0, 'away' end
  if agent.opened_at > 0 then
    if now < agent.opened_at + input.open or probing(agent) then return 0, 'open' end
    return math.min(1, agent.capacity - agent.in_flight), 'busy'
  end
  return agent.capacity - agent.in_flight, 'busy'
end

local function take(agent, member)
  call('ZADD', P .. 'leases:' .. agent.key, now + input.lease, member)
  call('HSET', P .. 'lease', member, agent.key)
  if agent.opened_at > 0 then agent.probe = member end
  agent.in_flight = agent.in_flight + 1
  agent.assigned_at = now
  agent.touched = true
end

local function drop(agent, member)
  call('HDEL', P .. 'lease', member)
  call('HDEL', P .. 'lapsed', member)
  agent.in_flight = agent.in_flight - call('ZREM', P .. 'leases:' .. agent.key, member)
  agent.touched = true
end

local function share(window)
  local _, succeeded = string.gsub(window, 's', '')
  local _, partial = string.gsub(window, 'p', '')
  return (succeeded + partial / 2) / #window
end

-- The breaker (requirements.md O.5): it opens at 5 failures in a row or below 30 % of the last 20 (5 at least) since
-- it closed last, lets one probe through after 60 s, and closes after 3 that went well.
local function record(agent, outcome, member, at)
  local counts = outcome == 's' or outcome == 'p' or outcome == 'f'
  if counts then
    agent.window = string.sub(agent.window .. outcome, -50)
    agent.since = agent.since + 1
    agent.streak = outcome == 'f' and agent.streak + 1 or 0
  end
  if agent.opened_at == 0 then
    local judged = math.min(20, agent.since)
    local failing = judged >= 5 and share(string.sub(agent.window, -judged)) < 0.3
    if outcome == 'f' and (agent.streak >= 5 or failing) then
      agent.opened_at, agent.ok, agent.probe = at, 0, ''
    end
  elseif agent.probe == member then
    agent.probe = ''
    if outcome == 'f' then
      agent.opened_at, agent.ok = at, 0
    elseif counts then
      agent.ok = agent.ok + 1
      if agent.ok >= 3 then
        agent.opened_at, agent.ok, agent.since, agent.streak = 0, 0, 0, 0
      end
    end
  end
  agent.touched = true
end

local function write_touched()
  for key, agent in pairs(agents) do
    if agent.touched and agent.known then
      local version = call('INCR', P .. 'version')
      call('HSET', P .. 'agent:' .. key, 'window', agent.window, 'streak', agent.streak, 'since', agent.since,
        'opened_at', agent.opened_at, 'ok', agent.ok, 'probe', agent.probe, 'assigned_at', agent.assigned_at)
      call('ZADD', P .. 'versions', version, key)
    end
  end
end

-- Each agent that changed since the caller looked last; its description only if that changed too. What is told of it is
-- counted on from the time of the build: what was told before a loss had lower numbers.
local function changes(seen)
  local found = {}
  local last = seen
  local listed = call('ZRANGEBYSCORE', P .. 'versions', '(' .. string.format('%d', seen), '+inf', 'WITHSCORES')
  for i = 1, #listed, 2 do
    local agent = agent_of(listed[i])
    local h = call('HMGET', P .. 'agent:' .. agent.key, 'described', 'spec', 'said', 'said_count')
    last = math.max(last, tonumber(listed[i + 1]))
    if not agent.known then
      call('ZREM', P .. 'versions', agent.key)
    else
      table.insert(found, {
        agent.key, agent.status, agent.capacity, agent.in_flight, agent.heard, agent.window, agent.opened_at,
        probing(agent) and 1 or 0, agent.assigned_at, h[3] or '', tonumber(h[4] or built),
        tonumber(h[1] or 0) > seen and h[2] or '',
      })
    end
  end
  return found, last
end
