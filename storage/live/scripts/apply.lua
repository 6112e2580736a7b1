-- One batch: what was heard, in order, then who takes which task. ARGV[1] is JSON, ARGV[1 + n] the event of ask n.
local freed = {}
local causes = {}
-- As which version a task becomes ready that has not waited before: it was asked for and checked.
local FIRST = 2
local KINDS = { 'busy' }
local BOTH = { 'busy', 'none' }
-- How many ended attempts are remembered: their task.ready may come once more, from a router that died too early or by
-- the sweep while it waited in line.
local REMEMBERED = 50000
local ended = false
-- Whether any task is remembered as asked for: of those that never waited once more nothing need be looked up.
local asking = call('EXISTS', P .. 'asked') == 1

local function asked_as(member)
  return asking and tonumber(call('HGET', P .. 'asked', member) or 0) or 0
end

local function remember(member, version)
  call('HSET', P .. 'asked', member, version)
  asking = true
end

local function free_up(agent, cause, kinds)
  if not freed[agent.key] then table.insert(causes, agent.key) end
  freed[agent.key] = { cause, kinds }
end

local function index(agent, caps)
  for cap in string.gmatch(agent.caps, '[^,]+') do
    call('SREM', P .. 'cap:' .. agent.tenant .. ':' .. cap, agent.key)
  end
  for cap in string.gmatch(caps, '[^,]+') do
    call('SADD', P .. 'cap:' .. agent.tenant .. ':' .. cap, agent.key)
  end
  agent.caps = caps
end

-- Who is gone is remembered for a day; then its last change is nobody's to see. Each that goes makes room for more than
-- itself, so that those forgotten stay few beside those remembered.
local function forget_changes()
  for _, key in ipairs(call('ZRANDMEMBER', P .. 'versions', 8)) do
    if call('EXISTS', P .. 'agent:' .. key) == 0 then call('ZREM', P .. 'versions', key) end
  end
end

local ops = {}

function ops.state(key, version, status, heard, capacity, caps, technologies, spec, cause)
  local agent = agent_of(key)
  if agent.version >= version then return end
  index(agent, status == 'gone' and ',' or caps)
  if agent.status == 'gone' then
    agent.window, agent.streak, agent.since, agent.opened_at, agent.ok, agent.probe = '', 0, 0, 0, 0, ''
  end
  agent.known, agent.status, agent.version, agent.capacity = true, status, version, capacity
  agent.technologies, agent.touched = technologies, true
  call('HSET', P .. 'agent:' .. key, 'status', status, 'version', version, 'capacity', capacity, 'caps', agent.caps,
    'technologies', technologies, 'spec', spec, 'described', call('GET', P .. 'version') or 0)
  call('HINCRBY', P .. 'agent:' .. key, 'described', 1)
  if status == 'gone' then
    call('EXPIRE', P .. 'agent:' .. key, input.gone)
    forget_changes()
  else
    call('PERSIST', P .. 'agent:' .. key)
  end
  if heard > 0 then
    call('SET', P .. 'beat:' .. key, '1', 'PX', heard)
    agent.heard = heard
  elseif status ~= 'draining' then
    call('DEL', P .. 'beat:' .. key)
    agent.heard = -2
  end
  if status == 'active' then free_up(agent, cause, BOTH) end
end

function ops.beat(key, cause)
  local agent = agent_of(key)
  if not agent.known or agent.status == 'gone' or agent.status == 'offline' then return end
  if agent.heard <= 0 then agent.touched = true end
  call('SET', P .. 'beat:' .. key, '1', 'PX', input.beat)
  agent.heard, agent.touched = input.beat, true
  free_up(agent, cause, BOTH)
end

function ops.wake(key, cause)
  if agent_of(key).known then free_up(agent_of(key), cause, BOTH) end
end

-- What was given out because of this event before: an event that comes again (all that a killed router had in hand does)
-- gives out the same, but no slot for what has ended since.
function ops.again(cause)
  for _, handed in ipairs(call('LRANGE', P .. 'handed:' .. cause, 0, -1)) do
    local member, body = string.match(handed, '^(%S+) (.*)$')
    if call('HEXISTS', P .. 'lease', member) == 1 then offer(member, body, cause) end
  end
end

-- What was running when the state was built.
function ops.hold(member, key)
  local agent = agent_of(key)
  if not agent.known then return end
  local probe = agent.probe
  take(agent, member)
  agent.probe = probe
end

-- Only a slot that is still held: what comes late must not hold one that was freed.
function ops.renew(member)
  local held = call('HGET', P .. 'lease', member)
  if held then call('ZADD', P .. 'leases:' .. held, 'XX', now + input.lease, member) end
end

-- Whether it waited in line or held a slot, it does so no more.
local function free(member, outcome, cause)
  forget(member)
  -- A run that fell silent is lost only when its lease has lapsed: its end is its agent's all the same.
  local key = call('HGET', P .. 'lease', member) or call('HGET', P .. 'lapsed', member)
  if not key then return end
  local agent = agent_of(key)
  drop(agent, member)
  record(agent, outcome, member, now)
  free_up(agent, cause, KINDS)
end

-- The attempt is over.
function ops.release(member, outcome, cause)
  call('ZADD', P .. 'over', now, member)
  if asking then call('HDEL', P .. 'asked', member) end
  ended = true
  free(member, outcome, cause)
end

-- The task waits once more and becomes ready again as the same attempt: it may have already, when this comes again.
function ops.withdraw(member, version, cause)
  if asked_as(member) > version or call('ZSCORE', P .. 'over', member) then return end
  remember(member, version)
  free(member, '', cause)
end

function ops.outcomes(key, outcomes)
  local agent = agent_of(key)
  agent.window, agent.streak, agent.since, agent.opened_at, agent.ok = '', 0, 0, 0, 0 -- it may come a second time
  for _, pair in ipairs(outcomes) do
    if agent.opened_at > 0 and pair[2] >= agent.opened_at + input.open then agent.probe = 'rebuilt' end
    record(agent, pair[1], 'rebuilt', pair[2])
  end
  agent.probe = ''
end

-- A transition has been announced; a later count than ours means that somebody was quicker.
function ops.said(key, count, said)
  local known = call('HGET', P .. 'agent:' .. key, 'said_count')
  if agent_of(key).known and tonumber(known or 0) < count then
    call('HSET', P .. 'agent:' .. key, 'said', said, 'said_count', count)
  end
end

for _, op in ipairs(input.ops) do
  ops[op[1]](unpack(op, 2))
end

if ended then call('ZREMRANGEBYRANK', P .. 'over', 0, -REMEMBERED - 1) end

local results = {}

local function reserve(ask, body)
  local member, tenant, queue, score, order, cause, again, why, is_open, version = unpack(ask)
  queue = P .. 'wait:' .. tenant .. ':' .. queue
  local asked = asked_as(member)
  if asked > version then return { '', 'over', 0 } end
  local held = call('HGET', P .. 'lease', member)
  if held then
    call('ZADD', P .. 'leases:' .. held, 'XX', now + input.lease, member)
    return { held, '', 0 }
  end
  if call('ZSCORE', P .. 'over', member) then return { '', 'over', 0 } end
  -- It may have ended before the state was built: the caller has to look whether it is still open, and ask again.
  if not is_open and not input.builder and score % input.apart < built + input.skew then return { '', 'late', 0 } end
  if asked < version and version > FIRST then remember(member, version) end
  local behind = not again and call('EXISTS', queue) == 1 and not call('ZSCORE', queue, member)
  local seen = {}
  for _, place in ipairs(order) do
    local agent = agent_of(input.agents[place])
    local free, reason = room(agent)
    if free > 0 and not behind then
      take(agent, member)
      forget(member)
      if again then
        -- Those behind it wait for a slot now, and no more for somebody who can.
        call('SMOVE', P .. 'queues:none:' .. tenant, P .. 'queues:busy:' .. tenant, queue)
        call('RPUSH', P .. 'handed:' .. cause, member .. ' ' .. body)
        call('EXPIRE', P .. 'handed:' .. cause, input.handed)
      end
      return { agent.key, '', 0 }
    end
    if free > 0 then free_up(agent, cause, KINDS) end
    seen[reason] = true
  end
  -- The caller expected room and left the event out: it has to ask again with it.
  if body == '' then return { '', 'again', 0 } end
  if why == '' then
    why = seen.busy and 'all_busy' or seen.open and 'all_open' or 'no_capability'
  end
  local count, changed = park(member, tenant, queue, score, why, body)
  return { '', why, (changed or not again) and count or 0 }
end

for i, ask in ipairs(input.asks) do
  results[i] = reserve(ask, ARGV[1 + i])
end
local waiting = call('HLEN', P .. 'waiting')
if waiting > 0 and not input.builder then
  for _, key in ipairs(causes) do
    offer_to(agents[key], freed[key][1], freed[key][2])
  end
end
write_touched()
local found, last = changes(input.seen)
-- One text: its many small values would cost the client more to take apart than all else.
return cjson.encode({ now, waiting, results, offers, found, last })
