-- Each thread is one engine with one connection: it goes through the steps of a file, in a circle.
-- A step is a line, "METHOD TARGET STATUS [BODY]"; see benchmarks/scenarios/mix.py, which writes it.
-- "{engine}" in a target is the thread's number, "{index}" the X-Consul-Index of the answer before;
-- "{count}" in a body is a new number. The GET behind an update by
-- check-and-set must see a newer index than the one before it.

require "report"

bad = 0

local steps = {}
local now, count = 0, 0
local index, passed = 0, 0

local function whole(step)
  local body = step.method ~= "GET" and step.body:gsub("{count}", count) or nil
  return wrk.format(step.method, (step.target:gsub("{index}", index)), nil, body)
end

function init(args)
  for line in io.lines(args[1]) do
    local method, target, status, body = line:match("^(%S+) (%S+) (%d+) ?(.*)$")
    local step = {
      method = method,
      target = target:gsub("{engine}", number),
      status = tonumber(status),
      body = body,
      updates = target:find("cas={index}", 1, true) ~= nil and method == "PUT",
    }
    if not target:find("{index}", 1, true) and not body:find("{count}", 1, true) then
      step.bytes = whole(step)
    end
    steps[#steps + 1] = step
  end
end

function request()
  now = now % #steps + 1
  count = count + 1
  local step = steps[now]
  return step.bytes or whole(step)
end

function response(status, headers, body)
  local step = steps[now]
  local seen = tonumber(headers["X-Consul-Index"])
  if status ~= step.status or (seen and seen <= passed) then
    bad = bad + 1
  end
  passed = step.updates and index or 0
  index = seen or index
end
