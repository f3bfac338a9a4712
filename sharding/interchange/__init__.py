"""Files beside the shards by which other libraries read them: DALI's, Energon's, _info.json, Croissant."""
