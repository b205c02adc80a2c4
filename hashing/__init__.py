"""The agency's side: normalise, derive, seal; open what comes back."""
