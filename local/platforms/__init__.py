"""Simulated video platforms, each a real HTTP server on loopback."""
