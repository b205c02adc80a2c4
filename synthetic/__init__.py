"""Synthetic populations and agencies with known truth; the rehearsal that plays all roles on one machine."""
