"""Models as plans: layers, names, shapes and initial values, before any framework."""
