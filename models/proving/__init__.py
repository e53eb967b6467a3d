"""What is right: the reference in plain words, and the proofs that another network answers as it does."""
