"""Commands of the linkage unit."""
