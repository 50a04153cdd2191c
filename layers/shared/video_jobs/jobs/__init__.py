"""What a job is and how it moves: values and pure functions, which know no clock, no table and no platform."""
