"""From files of many shapes to clean columns, and where each bad row stands."""
