"""Learning: batches, what is asked of each anchor, losses, checkpoints, the cycles."""
