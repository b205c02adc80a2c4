"""Compliance rules: small objects, each with an id, a severity and one question that it answers."""
