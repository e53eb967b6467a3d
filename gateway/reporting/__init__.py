"""Reporting: what happened, as metrics for machines and as numbers for people."""
