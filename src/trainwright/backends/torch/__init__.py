"""The lean PyTorch loop."""
