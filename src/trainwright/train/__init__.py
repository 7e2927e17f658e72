"""The waist: which records make a step, until where a learner runs freely, what is heard on the way."""
