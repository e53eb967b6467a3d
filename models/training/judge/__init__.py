"""How good a detector is, on pictures it never saw; needs no PyTorch."""
