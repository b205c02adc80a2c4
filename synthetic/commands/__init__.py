"""Commands that play all roles on one machine."""
