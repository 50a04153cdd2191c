"""api.video: its two steps, its events and how they are signed, its API."""
