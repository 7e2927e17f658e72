"""Sections of the page: each reads the record of a run and gives its part, or nothing where there is nothing."""
