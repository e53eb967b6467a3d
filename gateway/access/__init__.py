"""Access: who may call, from where, how often. The way in is door.py; keys are kept by gateway.keys."""
