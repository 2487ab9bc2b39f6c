-- Reads of random keys below numbered folders: FOLDERS KEYS TARGET, with %03d twice in TARGET.

require "report"

local folders, keys, target

function init(args)
  folders, keys, target = tonumber(args[1]), tonumber(args[2]), args[3]
  math.randomseed(1)
end

function request()
  return wrk.format("GET", string.format(target, math.random(0, folders - 1), math.random(0, keys - 1)))
end
