"""Agreements, rules, audit and reports: what an officer runs and reads."""
