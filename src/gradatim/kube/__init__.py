"""Talks to the API server: the only package that does."""
