"""Promises to inherit: a new backend gives its name and gets all of them."""
