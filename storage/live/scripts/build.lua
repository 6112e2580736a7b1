-- Begin (`begin`), end (`end`) or distrust (`check`, `epoch`) the state: ARGV is what to do, a builder's token, this
-- server's run, the epoch of the log.
local P = 'ganglion:agents:'
local call = redis.call
local what, token, run, epoch = unpack(ARGV)
if what == 'epoch' then
  -- What an end of the log had told that was lost with it, nobody tells again.
  if call('EXISTS', P .. 'live') == 0 or call('GET', P .. 'epoch') == epoch then return 0 end
  return call('DEL', P .. 'live')
end
if what == 'check' then
  -- Another run of the server may have lost the last second before it ended.
  local built_for = call('GET', P .. 'live')
  if built_for and built_for ~= run then call('DEL', P .. 'live') end
  return 1
end
if what == 'begin' then
  if call('GET', P .. 'live') == run then return 0 end -- somebody else was quicker
  local again = call('GET', P .. 'building') == token -- the answer to the first time was lost
  if not again and not call('SET', P .. 'building', token, 'NX', 'PX', 30000) then return 0 end
  for _, key in ipairs(call('KEYS', P .. '*')) do
    if key ~= P .. 'building' then call('UNLINK', key) end
  end
  return 1
end
if call('GET', P .. 'building') ~= token then return 0 end
local time = call('TIME')
call('SET', P .. 'built', time[1] * 1000 + math.floor(time[2] / 1000))
call('SET', P .. 'epoch', epoch)
call('SET', P .. 'live', run)
call('DEL', P .. 'building')
return 1
