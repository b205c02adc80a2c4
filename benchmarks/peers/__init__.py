"""Other systems of the same kind, on the same records in the same run."""
