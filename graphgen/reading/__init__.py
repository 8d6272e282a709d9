"""From files of many formats to clean columns, with the position of each bad row."""
