-- The same request again and again: METHOD TARGET [BODY].

require "report"

function init(args)
  wrk.method = args[1]
  wrk.path = args[2]
  wrk.body = args[3]
end
