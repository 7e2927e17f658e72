"""Records: read strictly, split once, prepared for a model."""
