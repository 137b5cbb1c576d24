-- Our couriers' bikes: OSRM's own bicycle profile without what a cargo bike cannot pass.
local bicycle = require('bicycle')
local setup = bicycle.setup

function bicycle.setup()
  local profile = setup()
  profile.exclude_cargo_bike = true  -- ways and barriers with cargo_bike=no
  profile.width = 0.9                -- and those narrower than this, in metres
  profile.avoid.steps = true         -- nobody carries a laden one upstairs
  return profile
end

return bicycle
