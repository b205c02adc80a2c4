"""The linkage unit's side: intake, candidate pairs, Splink model, clusters, window, returns. Holds no linkage secret."""
