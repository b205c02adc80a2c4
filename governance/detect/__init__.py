"""Finding raw identifiers where only tokens may stand: in cells, headers, file names and metadata."""
