"""Pages made from recorded runs, never from live objects."""
