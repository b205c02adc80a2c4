"""Commands of governance officers."""
