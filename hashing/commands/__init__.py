"""Commands of an agency data team."""
