"""The network that learns."""
