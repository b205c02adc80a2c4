"""The linkage unit: intake, candidate pairs, Splink model, clusters, window, returns. Holds no secret."""
