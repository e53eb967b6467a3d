"""All a worker loads of a model: the facts beside its network, and the names and shapes of what it answers."""
