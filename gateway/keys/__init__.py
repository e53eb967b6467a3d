"""API keys: how they are stored, found, rotated and revoked. `python -m gateway.keys` is the command line."""
