"""Everything that made the open weights. Nothing imports it."""
