"""Scores, each an adapter over the tool that defines it."""
