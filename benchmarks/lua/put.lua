-- Writes of numbered keys, each with a value of its own: METHOD TARGET BODY KEYS.
-- TARGET may hold %04d for the number of the key, BODY %04d%08d for that and for a new number.

require "report"

local method, target, body, keys
local count = 0

function init(args)
  method, target, body = args[1], args[2], args[3]
  keys = tonumber(args[4])
end

function request()
  count = count + 1
  local key = count % keys
  return wrk.format(method, string.format(target, key), nil, string.format(body, key, count))
end
