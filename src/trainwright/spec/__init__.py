"""Descriptions: what a user writes, read strictly and decided completely."""
