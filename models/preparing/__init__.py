"""An export becomes the network that is served: once per machine, proven, kept in the cache."""
