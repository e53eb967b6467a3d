"""Networks rewritten node by node. Nothing here knows whether the result is right."""
