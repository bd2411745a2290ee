-- The health of every object of sendroute.dev for Argo CD: what kstatus says, in Argo CD's words.
local health = {status = "Progressing", message = "Waiting for Sendroute"}
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end
local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end
if obj.spec ~= nil and obj.spec.suspend == true then
  health.status = "Suspended"
elseif found.Stalled ~= nil and found.Stalled.status == "True" then
  -- It remains so until a person acts.
  health.status = "Degraded"
elseif found.Reconciling ~= nil and found.Reconciling.status == "True" then
  health.status = "Progressing"
elseif found.Ready ~= nil and found.Ready.status == "True" then
  health.status = "Healthy"
end
local summary = found.Stalled or found.Reconciling or found.Ready
if summary ~= nil and summary.message ~= nil then
  health.message = summary.message
end
return health
