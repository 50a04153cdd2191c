"""One package a platform: its words, and what they mean in ours."""
