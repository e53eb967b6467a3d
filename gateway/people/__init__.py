"""People who manage keys: their password and how often it may be tried, their sessions. Blocking; no pages."""
