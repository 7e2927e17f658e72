"""Judges versions on records: scores with intervals, and what a report draws."""
