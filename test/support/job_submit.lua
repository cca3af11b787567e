-- What Betzy and Saga refuse at submission: no account, a memory flag on whole nodes, none on shared ones,
-- fewer than four nodes on normal.
local function has_memory(job)
  local memory = job.pn_min_memory
  return memory ~= nil and memory ~= 0 and memory ~= slurm.NO_VAL64
end

local function refuse(reason)
  slurm.log_user(reason)
  return slurm.ERROR
end

function slurm_job_submit(job, partitions, uid)
  local partition = job.partition or "normal"
  if job.account == nil then return refuse("Please specify an account with --account") end
  if partition == "normal" then
    if has_memory(job) then return refuse("--mem must not be used on normal") end
    if job.min_nodes == slurm.NO_VAL or job.min_nodes < 4 then
      return refuse("--nodes >= 4 required for normal jobs")
    end
  elseif not has_memory(job) then
    return refuse("Memory is not specified: use --mem or --mem-per-cpu")
  end
  return slurm.SUCCESS
end

function slurm_job_modify(job, record, partitions, uid) return slurm.SUCCESS end

return slurm.SUCCESS
