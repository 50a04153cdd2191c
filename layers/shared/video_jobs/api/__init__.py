"""The API for people: what it takes, what it shows, and how it says no."""
