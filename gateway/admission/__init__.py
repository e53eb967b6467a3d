"""Admission: how many requests are let in, and whose turn it is. Decisions are pure; the turnstile is the loop."""
