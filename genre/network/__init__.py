"""The networks: their layers, their files, and what they run on."""
