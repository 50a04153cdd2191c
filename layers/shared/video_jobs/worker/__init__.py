"""A platform's worker: looks at jobs, submits steps, polls them."""
