"""The table: its items, and the one way in which a job's changes (`jobs.change`)."""
