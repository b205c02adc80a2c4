"""The agency's side: normalise, derive, seal; open what comes back."""

from hashing.light import without_pandas

without_pandas()
