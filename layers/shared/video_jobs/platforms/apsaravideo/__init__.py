"""ApsaraVideo VOD: its one step, its events and how they are signed, its API, its message queue."""
