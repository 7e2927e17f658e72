"""Many runs that answer one question together: folds of a cross-validation, repeats over seeds."""
