-- Run applications on a study that has not changed for StableAge seconds (run_map.py says which).
-- In the background: Orthanc waits for this function, and would take no instance while an image runs.
-- Written by `monai-deploy deploy-files`: change its options or apps/*/app.py, not this file.
local home = os.getenv('MAP_SUITE_HOME') or '/etc/orthanc/map-suite'
local log = os.getenv('MAP_SUITE_LOG') or '/var/log/orthanc/map-suite.log'

function OnStableStudy(studyId, tags, metadata)
  if not string.match(studyId, '^[0-9a-f-]+$') then  -- it goes into a shell's command line
    PrintRecursive('map-suite: no identifier of a study')
    return
  end
  os.execute('setsid python3 "' .. home .. '/run_map.py" ' .. studyId .. ' >> "' .. log .. '" 2>&1 &')
end
